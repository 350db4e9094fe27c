/*
 * Access rules for workers and persist, which can't read the file: compiled here once, and mapped by all of them.
 */
#include <unistd.h>

#include "master/master.h"
#include "shared/conf/rules.h"

static struct {
	int rules, next; /* memfds: in force; of a reload under way. -1: there are none */
} the = { -1, -1 };

int
acl_prepare(const struct conf *next, struct conf_error *err)
{
	acl_discard();
	return rules_read(next, &the.next, err);
}

void
acl_commit(void)
{
	if (the.rules >= 0)
		close(the.rules);
	the.rules = the.next;
	the.next = -1;
}

void
acl_discard(void)
{
	if (the.next >= 0)
		close(the.next);
	the.next = -1;
}

void
acl_give(struct slot *s, bool next)
{
	const int *fd = next ? &the.next : &the.rules;

	if ((s->n < SLOT_MQTT_MAX || s->n == SLOT_PERSIST) && *fd >= 0)
		slot_send(
		    s, IPC_ACL_RULES, &(struct msg_none){ 0 }, sizeof(struct msg_none), fd, 1);
}
