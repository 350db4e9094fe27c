/*
 * What auth needs of the disk for its providers, and must not read itself.
 */
#include <unistd.h>

#include "master/master.h"
#include "shared/net/auth_files.h"

static struct {
	int files, next; /* memfds: in force; of a reload under way. -1: none are needed */
} the = { -1, -1 };

int
authfiles_prepare(const struct conf *next, struct conf_error *err)
{
	authfiles_discard();
	return auth_files_read(next, &the.next, err);
}

void
authfiles_commit(void)
{
	if (the.files >= 0)
		close(the.files);
	the.files = the.next;
	the.next = -1;
}

void
authfiles_discard(void)
{
	if (the.next >= 0)
		close(the.next);
	the.next = -1;
}

void
authfiles_give(struct slot *s, bool next)
{
	const int *fd = next ? &the.next : &the.files;

	if (s->n == SLOT_AUTH && *fd >= 0)
		slot_send(
		    s, IPC_AUTH_FILES, &(struct msg_none){ 0 }, sizeof(struct msg_none), fd, 1);
}
