/*
 * script.h - how a script is written down
 *
 * SCRIPT("will/delay", V5) { … } is run once for each version it is for, SCRIPTS("flow/qos", ALL, 3) { … } also for each `variant` from 0 on, as
 * "4/flow/qos-2". It says what clients do; what they have to get is not said, both brokers are asked.
 */
#ifndef DIFFERENTIAL_SCRIPT_H
#define DIFFERENTIAL_SCRIPT_H

#include "tests/differential/pair.h"

enum { V3 = 1 << 3, V4 = 1 << 4, V5 = 1 << 5, OLD = V3 | V4, ALL = V3 | V4 | V5 };

struct script {
	const char *name;
	unsigned versions, variants;
	void (*run)(void);
	struct script *next;
};

extern struct script *scripts;
extern unsigned variant;

void script_add(struct script *s);

#define SCRIPT(name, versions) SCRIPTS(name, versions, 0)
#define SCRIPTS(name, versions, variants) SCRIPT_COUNTED(name, versions, variants, __COUNTER__)
#define SCRIPT_COUNTED(name, versions, variants, n) SCRIPT_NUMBERED(name, versions, variants, n)
#define SCRIPT_NUMBERED(name, versions, variants, n)                                               \
	static void script_##n(void);                                                              \
	static struct script entry_##n = { name, versions, variants, script_##n, NULL };           \
	__attribute__((constructor)) static void add_##n(void)                                     \
	{                                                                                          \
		script_add(&entry_##n);                                                            \
	}                                                                                          \
	static void script_##n(void)

#endif
