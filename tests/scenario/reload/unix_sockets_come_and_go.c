#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

static char path[160], other[160];

static bool
exists(const char *file)
{
	struct stat st;

	return lstat(file, &st) == 0;
}

static unsigned
mode_of(const char *file)
{
	struct stat st;

	check(lstat(file, &st) == 0);
	return st.st_mode & 0777;
}

static int
serve(const char *at)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, at);
	check(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0);
	return fd;
}

/* A listener is in the file with these keys from here on. */
static void
say(const char *keys, const char *at)
{
	char line[400];

	snprintf(line, sizeof(line), ", { name = \"u\"; path = \"%s\"; %s } );", at, keys);
	broker_conf(");", line);
}

static void
refused(const char *keys, const char *at, const char *why)
{
	say(keys, at);
	if (ctl("reload") == 0 || !broker_log_has(why))
		fail("not refused: %s", why);
	broker_conf(", {", ");");
}

static void
what_is_wrong_changes_nothing(void)
{
	int fd;

	refused("type = \"unix\";", "", "a unix socket needs a path");
	refused("", path, "needs type = \"unix\"");
	refused("type = \"unix\";", "u.sock", "absolute path");
	refused("type = \"unix\"; mode = \"0698\";", path, "octal");
	refused("type = \"unix\"; mode = \"7777\";", path, "octal");
	refused(
	    "type = \"unix\"; owner = \"nobody-at-all\";", path, "there is no \"nobody-at-all\"");
	refused(
	    "type = \"unix\"; group = \"nobody-at-all\";", path, "there is no \"nobody-at-all\"");
	/* Nor does what was bound before another one was refused. */
	refused("type = \"unix\"; }, { name = \"v\"; type = \"unix\"; path = \"/nonexistent/v\";",
	    path, "/nonexistent/v");
	check(!exists(path));
	refused("type = \"unix\";", "/nonexistent/u.sock", "No such file or directory");
	/* What somebody serves, and what is no socket at all, stays. */
	fd = serve(path);
	refused("type = \"unix\";", path, "somebody serves it");
	check(exists(path));
	close(fd);
	check(unlink(path) == 0 && mkdir(path, 0700) == 0);
	refused("type = \"unix\";", path, "no socket");
	check(rmdir(path) == 0);
	check(broker_sh("ls $DIR | grep stale") != 0);
}

SCENARIO(1, 2)
{
	struct mq *first, *second;

	broker_start();
	snprintf(path, sizeof(path), "%s/u.sock", broker.dir);
	snprintf(other, sizeof(other), "%s/w.sock", broker.dir);
	what_is_wrong_changes_nothing();

	close(serve(path)); /* as who was killed leaves it */
	say("type = \"unix\";", path);
	check(ctl("reload") == 0 && mode_of(path) == 0660);
	first = mq_connect(.id = "first", .path = path);

	/* Another mode and another name for the same socket. */
	broker_reload(
	    ", {", ", { name = \"u\"; type = \"unix\"; path = \"%s\"; mode = \"666\"; } );", path);
	check(mode_of(path) == 0666);
	broker_reload(", {", ", { name = \"v\"; type = \"unix\"; path = \"%s\"; } );", path);
	check(mode_of(path) == 0660);
	second = mq_connect(.id = "second", .path = path);
	check(strstr(ctl_text("--json", "client", "show", "second"), "\"listener\":\"v\""));
	mq_quiet(first);

	/* Another path. */
	broker_reload(", {", ", { name = \"v\"; type = \"unix\"; path = \"%s\"; } );", other);
	check(!exists(path));
	mq_disconnect(mq_connect(.id = "third", .path = other));
	mq_quiet(first);
	mq_quiet(second);

	/* Somebody has removed it, or put something else there: it is not ours to remove. */
	check(unlink(other) == 0 && ctl("reload") == 0);
	mq_disconnect(mq_connect(.id = "third", .path = other));
	check(unlink(other) == 0);
	close(serve(other));
	broker_reload(", {", ");");
	check(exists(other));
	check(unlink(other) == 0);
	mq_quiet(first);
	mq_quiet(second);

	/* A broker that is killed leaves it, and the next one takes its place. */
	broker_reload(");", ", { name = \"u\"; type = \"unix\"; path = \"%s\"; } );", path);
	broker_kill_all();
	check(exists(path));
	broker_start();
	mq_disconnect(mq_connect(.id = "third", .path = path));
	broker_stop();
	check(!exists(path));
}
