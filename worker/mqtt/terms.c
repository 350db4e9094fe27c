#include "worker/mqtt/terms.h"

#include <stdlib.h>
#include <string.h>

#include "shared/child/child.h"

#define TERMS_NEW(type, name) t->name = self.conf.name;
#define TERMS_NOW(type, name)
#define TERMS_RESTART(type, name)

static struct {
	struct terms *now; /* with a reference of its own; NULL: to be made */
} the;

const struct terms *
terms_take(void)
{
	struct terms *t = the.now;

	if (t == NULL) {
		t = the.now = calloc(1, sizeof(*t));
		if (t == NULL)
			return NULL;
#define K(name, type, def, min, max, when, help) TERMS_##when(type, name)
#include "shared/conf/keys.def"
		t->refs = 1;
	}
	t->refs++;
	return t;
}

void
terms_leave(const struct terms **t)
{
	struct terms *x = (struct terms *)(uintptr_t)*t;

	*t = NULL;
	if (x != NULL && --x->refs == 0)
		free(x);
}

void
terms_conf(void)
{
	const struct terms *t = the.now;

	the.now = NULL;
	terms_leave(&t);
}

void
terms_fini(void)
{
	terms_conf();
}
