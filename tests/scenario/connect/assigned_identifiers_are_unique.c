#include "tests/lib/scenario.h"

SCENARIO(1, 4)
{
	struct mq *m[20];

	broker_start();
	for (int i = 0; i < 20; i++) {
		m[i] = mq_connect(.id = "");
		check(m[i]->assigned[0] != '\0');
		for (int j = 0; j < i; j++)
			check(strcmp(m[i]->assigned, m[j]->assigned) != 0);
	}
	for (int i = 0; i < 20; i++) {
		mq_quiet(m[i]);
		mq_disconnect(m[i]);
	}
}
