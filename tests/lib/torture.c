#include <stdlib.h>

#include "tests/lib/port.h"
#include "tests/lib/scenario.h"

int
torture(const char *settings, const char *options)
{
	char command[900], line[1000], path[200];
	int port = port_to_keep(), status;
	FILE *f;

	check(port > 0);
	snprintf(command, sizeof(command),
	    "$BIN/tbmq-torture --start \"$CTL start --port %d --workers %d %s\" --port %d "
	    "--deadline %d %s >$DIR/torture 2>&1",
	    port, workers(), settings, port, deadline_ms() / 1000, options);
	status = broker_sh(command);
	snprintf(path, sizeof(path), "%s/torture", broker.dir);
	f = fopen(path, "r");
	check(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		printf("    %s", line);
	fclose(f);
	return status;
}
