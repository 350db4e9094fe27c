#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

static bool
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	return f != NULL && fputs(text, f) >= 0 && fclose(f) == 0;
}

/* Root of a user namespace in which there is nobody else. */
static bool
become_root(void)
{
	int uid = (int)getuid(), gid = (int)getgid();
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return false;
	snprintf(map, sizeof(map), "0 %d 1", uid);
	if (!write_text("/proc/self/uid_map", map) || !write_text("/proc/self/setgroups", "deny"))
		return false;
	snprintf(map, sizeof(map), "0 %d 1", gid);
	return write_text("/proc/self/gid_map", map);
}

enum machine
machine_own(void)
{
	bool root = geteuid() == 0;

	check(broker_sh("cp /etc/ld.so.cache $DIR") == 0); /* also makes the directory */
	if (root ? unshare(CLONE_NEWNS) != 0 : !become_root())
		return MACHINE_NONE;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    broker_sh("for d in /run /etc /var/lib /var/log\n"
		      "do mount -t tmpfs -o mode=755 none $d || exit; done") != 0)
		return MACHINE_NONE;
	check(
	    broker_sh("cp $DIR/ld.so.cache /etc\n"
		      "echo root:x:0:0:::/bin/sh >/etc/passwd\n"
		      "echo tbmq:x:64999:64999:::/bin/false >>/etc/passwd\n"
		      "mkdir -p /run/usr/sbin /run/usr/bin /run/usr/libexec/tbmq " TBMQ_SYSCONFDIR
		      "/tbmq && cd /run/usr\n"
		      "cp $BIN/tbmqd sbin && cp $BIN/tbmqctl bin && cp $BIN/tbmq-* libexec/tbmq\n"
		      "bin/tbmqctl config sample | sed 's/port = 1883/port = 0/' >" TBMQ_SYSCONFDIR
		      "/tbmq/tbmq.conf") == 0);
	snprintf(broker.bin, sizeof(broker.bin), "/run/usr/bin");
	broker.installed = true;
	return root ? MACHINE_WITH_USERS : MACHINE_OF_ROOT;
}
