#include "shared/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "shared/conf/table.h"

#include "tests/unit/unit.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static struct conf conf;
static struct conf_error err;

static int
sealed(const void *data, size_t len, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CU_ASSERT_TRUE_FATAL(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	CU_ASSERT_EQUAL_FATAL(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Every byte: what nobody has written to has kept its padding too. */
static bool
is_untouched(const struct conf *c, const struct conf *was)
{
	const uint8_t *a = (const void *)c, *b = (const void *)was;

	return memcmp(a, b, sizeof(*c)) == 0;
}

/* What conf_load() says of these bytes; what it was to fill stays as it was if it refuses them. */
static int
load(const void *data, size_t len, int seals)
{
	static struct conf out, was;
	int fd = sealed(data, len, seals), bad;

	memset(&out, 0x5a, sizeof(out));
	was = out;
	bad = conf_load(fd, &out);
	CU_ASSERT_TRUE(bad == 0 || is_untouched(&out, &was));
	CU_ASSERT_EQUAL(close(fd), 0); /* it stays the caller's */
	return bad;
}

static int
load_conf(void)
{
	return load(&conf, sizeof(conf), SEALS);
}

static void
a_snapshot_that_is_not_sealed_or_not_whole_is_refused(void)
{
	static uint8_t more[sizeof(struct conf) + 1];
	int p[2], fd;

	conf_defaults(&conf);
	memcpy(more, &conf, sizeof(conf));
	CU_ASSERT_EQUAL(load(&conf, sizeof(conf), 0), -EPROTO);
	CU_ASSERT_EQUAL(load(&conf, sizeof(conf), SEALS & ~F_SEAL_WRITE), -EPROTO);
	CU_ASSERT_EQUAL(load(&conf, sizeof(conf), SEALS & ~F_SEAL_SHRINK), -EPROTO);
	CU_ASSERT_EQUAL(load(&conf, sizeof(conf), SEALS & ~F_SEAL_GROW), -EPROTO);
	CU_ASSERT_EQUAL(load(&conf, sizeof(conf) - 1, SEALS), -EPROTO);
	CU_ASSERT_EQUAL(load(more, sizeof(more), SEALS), -EPROTO);
	CU_ASSERT_EQUAL(load("", 0, SEALS), -EPROTO);
	CU_ASSERT_EQUAL(load_conf(), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	CU_ASSERT_EQUAL(conf_load(p[0], &conf), -EPROTO);
	CU_ASSERT_EQUAL(conf_load(-1, &conf), -EPROTO);
	close(p[0]);
	close(p[1]);
	fd = open("/proc/self/exe", O_RDONLY);
	CU_ASSERT_EQUAL(conf_load(fd, &conf), -EPROTO);
	close(fd);
}

/* Each key of the table, in the top level and in a listener, with what its bounds don't allow. */
static void
spoil_each(void *base, const struct conf_key *keys, size_t n)
{
	static struct conf was;

	was = conf;
	for (size_t i = 0; i < n; i++) {
		const struct conf_key *k = &keys[i];
		uint8_t *p = (uint8_t *)base + k->offset;
		uint64_t odd = k->max + 1;

		switch (k->type) {
		case CONF_STRING:
			memset(p, 'x',
			    k->max + 1); /* too long, and without an end if it is the longest */
			break;
		case CONF_UINT:
		case CONF_SECONDS:
			if (k->max == UINT32_MAX && k->min == 0)
				continue;
			odd = k->max == UINT32_MAX ? k->min - 1 : odd;
			memcpy(p, &odd, sizeof(uint32_t));
			break;
		case CONF_SIZE:
			memcpy(p, &odd, sizeof(odd));
			break;
		case CONF_BOOL:
			*p = 2;
			break;
		default:
			*p = 0xff;
		}
		CU_ASSERT_EQUAL(load_conf(), -EPROTO);
		if (load_conf() != -EPROTO)
			printf("\n    %s ", k->name);
		conf = was;
	}
}

static void
a_snapshot_with_any_value_out_of_bounds_is_refused(void)
{
	conf_defaults(&conf);
	spoil_each(&conf, conf_keys, conf_nkeys);
	spoil_each(&conf.listener[0], conf_listener_keys, conf_nlistener_keys);
	CU_ASSERT_EQUAL(load_conf(), 0);
	conf.abi++;
	CU_ASSERT_EQUAL(load_conf(), -EPROTO);
	conf_defaults(&conf);
	conf.size--;
	CU_ASSERT_EQUAL(load_conf(), -EPROTO);
	conf_defaults(&conf);
	for (unsigned i = 0; i < CONF_LISTENERS; i++) {
		conf_listener_defaults(&conf.listener[i]);
		snprintf(conf.listener[i].name.s, 32, "n%u", i);
		conf.listener[i].port = i + 1;
	}
	conf.nlisteners = CONF_LISTENERS;
	CU_ASSERT_EQUAL(load_conf(), 0);
	conf.nlisteners = CONF_LISTENERS + 1;
	CU_ASSERT_EQUAL(load_conf(), -EPROTO);
	conf.nlisteners = UINT32_MAX;
	CU_ASSERT_EQUAL(load_conf(), -EPROTO);
	conf_defaults(&conf);
	conf.ring_size = 65536 + 1;
	CU_ASSERT_EQUAL(load_conf(), -EPROTO);
	conf_defaults(&conf);
	conf.listener[0].address.s[0] = '\0';
	CU_ASSERT_EQUAL(load_conf(), -EPROTO);
	conf_defaults(&conf);
	conf.nlisteners = 2; /* two of the same name */
	conf.listener[1] = conf.listener[0];
	conf.listener[1].port = 1;
	CU_ASSERT_EQUAL(load_conf(), -EPROTO);
}

/* Bytes from anywhere: accepted or not, what comes out is within bounds. */
static void
noise_is_refused_or_within_bounds(void)
{
	static struct conf out, again;
	unsigned seed = 4;

	for (int i = 0; i < 2000; i++) {
		int fd;

		conf_defaults(&conf);
		for (int j = 0; j < 4; j++)
			((uint8_t *)&conf)[(size_t)rand_r(&seed) % sizeof(conf)] =
			    (uint8_t)rand_r(&seed);
		fd = sealed(&conf, sizeof(conf), SEALS);
		if (conf_load(fd, &out) == 0) {
			char *text = NULL;
			size_t len;
			FILE *f = open_memstream(&text, &len);

			conf_write(&out, f);
			fclose(f);
			again = out;
			CU_ASSERT_EQUAL(conf_check(&again, &err), 0);
			free(text);
		}
		close(fd);
	}
}

static void
a_snapshot_can_not_be_changed(void)
{
	int fd;

	conf_defaults(&conf);
	conf.number = 42;
	fd = conf_snapshot(&conf);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, "x", 1, 0), -1);
	CU_ASSERT_EQUAL(ftruncate(fd, 0), -1);
	CU_ASSERT_PTR_EQUAL(
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	CU_ASSERT_NOT_EQUAL(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	CU_ASSERT_EQUAL(conf_load(fd, &conf), 0);
	CU_ASSERT_EQUAL(conf_load(fd, &conf), 0); /* again: the offset doesn't matter */
	CU_ASSERT_EQUAL(conf.number, 42);
	close(fd);
}

static bool
refuses(const char *assignment, const char *says)
{
	static struct conf was, next;
	bool ok;

	was = next = conf;
	err.text[0] = '\0';
	if (conf_override(&next, assignment, &err) == 0)
		ok = conf_check(&next, &err) == -EINVAL;
	else
		ok = is_untouched(&next, &was);
	ok = ok && strstr(err.text, says) != NULL;
	if (!ok)
		printf("\n    %s: \"%s\" ", assignment, err.text);
	return ok;
}

static void
an_override_that_is_refused_changes_nothing_and_says_why(void)
{
	char text[400];

	conf_defaults(&conf);
	CU_ASSERT_TRUE(refuses("", "must be name=value"));
	CU_ASSERT_TRUE(refuses("inflight_max", "must be name=value"));
	CU_ASSERT_TRUE(refuses("=5", "unknown key"));
	CU_ASSERT_TRUE(refuses("inflght_max=5", "did you mean \"inflight_max\""));
	CU_ASSERT_TRUE(refuses("inflight_max=", "is no number"));
	CU_ASSERT_TRUE(refuses("inflight_max=70000", "70000 is more than 65535"));
	CU_ASSERT_TRUE(refuses("ring_size=100000", "power of two"));
	CU_ASSERT_TRUE(refuses("listener.=1", "no such listener"));
	CU_ASSERT_TRUE(refuses("listener.default=1", "no such listener"));
	CU_ASSERT_TRUE(refuses("listener.other.port=1", "other: no such listener"));
	CU_ASSERT_TRUE(refuses("listener.default.prt=1", "did you mean \"port\""));
	CU_ASSERT_TRUE(refuses("listener.default.port=65536", "more than 65535"));
	CU_ASSERT_TRUE(refuses("listener.default.name=", "must have 1 to 31"));
	CU_ASSERT_TRUE(refuses("port=x", "is no number"));
	memset(text, 'n', sizeof(text));
	memcpy(text + sizeof(text) - 3, "=1", 3);
	CU_ASSERT_TRUE(refuses(text, "must be name=value"));
	text[127] = '=';
	text[128] = '\0';
	CU_ASSERT_TRUE(refuses(text, "unknown key"));
	conf.nlisteners = 2;
	conf.listener[1] = conf.listener[0];
	strcpy(conf.listener[1].name.s, "second");
	conf.listener[1].port = 7;
	CU_ASSERT_TRUE(refuses("port=7", "same address and port"));
	CU_ASSERT_TRUE(refuses("listener.second.name=default", "is there twice"));
}

static void
an_override_sets_what_the_file_would(void)
{
	conf_defaults(&conf);
	CU_ASSERT_EQUAL(conf_override(&conf, "max_packet_size=64 KiB", &err), 0);
	CU_ASSERT_EQUAL(conf.max_packet_size, 65536);
	CU_ASSERT_EQUAL(conf_override(&conf, "data_dir=/a=b", &err), 0);
	CU_ASSERT_STRING_EQUAL(conf.data_dir.s, "/a=b");
	CU_ASSERT_EQUAL(conf_override(&conf, "listener.default.name=a.b", &err), 0);
	CU_ASSERT_EQUAL(conf_override(&conf, "listener.a.b.port=9", &err), 0);
	CU_ASSERT_EQUAL(conf.listener[0].port, 9);
	/* In whatever order, what belongs together. */
	CU_ASSERT_EQUAL(conf_override(&conf, "listener.a.b.type=tls", &err), 0);
	CU_ASSERT_EQUAL(conf_check(&conf, &err), -EINVAL);
	CU_ASSERT_EQUAL(conf_override(&conf, "listener.a.b.certificate=/c", &err), 0);
	CU_ASSERT_EQUAL(conf_override(&conf, "listener.a.b.certificate_key=/k", &err), 0);
	CU_ASSERT_EQUAL(conf_check(&conf, &err), 0);
	CU_ASSERT_EQUAL(conf_override(&conf, "port=0", &err), 0);
	CU_ASSERT_EQUAL(conf.listener[0].port, 0);
	conf.nlisteners = 0;
	CU_ASSERT_TRUE(refuses("port=1", "unknown key \"port\""));
}

static void
two_listeners_may_share_port_zero_but_no_name(void)
{
	conf_defaults(&conf);
	conf.nlisteners = 2;
	conf.listener[0].port = 0;
	conf.listener[1] = conf.listener[0];
	CU_ASSERT_EQUAL(conf_check(&conf, &err), -EINVAL);
	strcpy(conf.listener[1].name.s, "second");
	CU_ASSERT_EQUAL(conf_check(&conf, &err), 0);
	conf.listener[1].name.s[0] = '\0';
	CU_ASSERT_EQUAL(conf_check(&conf, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "number 2 has no name"));
}

/* --- showing ----------------------------------------------------------------------------- */

static char seen[4096];

static void
on_diff(void *arg, const char *key, const char *from, const char *to, enum conf_when when)
{
	size_t n = strlen(seen);

	CU_ASSERT_PTR_EQUAL(arg, seen);
	snprintf(seen + n, sizeof(seen) - n, "%s %s %s %d\n", key, from, to, (int)when);
}

static void
differences_are_told_key_by_key(void)
{
	static struct conf next;

	conf_defaults(&conf);
	next = conf;
	next.number = 9; /* is no key */
	CU_ASSERT_EQUAL(conf_diff(&conf, &next, on_diff, seen), 0);
	next.inflight_max = 5;
	next.ring_size = 65536;
	next.nlisteners = 3;
	next.listener[0].port = 7;
	next.listener[1] = next.listener[2] = conf.listener[0];
	strcpy(next.listener[1].name.s, "b");
	strcpy(next.listener[2].name.s, "c");
	seen[0] = '\0';
	CU_ASSERT_EQUAL(conf_diff(&conf, &next, on_diff, seen), 5);
	CU_ASSERT_STRING_EQUAL(seen,
	    "ring_size \"256 KiB\" \"64 KiB\" 2\n"
	    "inflight_max 100 5 1\n"
	    "listeners.default.port 1883 7 0\n"
	    "listeners.b absent added 0\n"
	    "listeners.c absent added 0\n");
	seen[0] = '\0';
	next.listener[0] = next.listener[2]; /* b and c: default has gone */
	next.nlisteners = 2;
	next.inflight_max = conf.inflight_max;
	next.ring_size = conf.ring_size;
	CU_ASSERT_EQUAL(conf_diff(&next, &conf, on_diff, seen), 3);
	CU_ASSERT_STRING_EQUAL(seen,
	    "listeners.c present removed 0\n"
	    "listeners.b present removed 0\n"
	    "listeners.default absent added 0\n");
}

static unsigned keys, changed;

static void
on_key(void *arg, const char *key, const char *value, bool is_default, const char *help)
{
	CU_ASSERT_PTR_EQUAL(arg, &conf);
	CU_ASSERT_TRUE(key[0] != '\0' && value[0] != '\0' && help[0] != '\0');
	keys++;
	if (!is_default)
		snprintf(seen, sizeof(seen), "%s=%s", key, value);
	changed += !is_default;
}

static void
all_keys_are_shown_with_what_was_changed(void)
{
	conf_defaults(&conf);
	keys = changed = 0;
	conf_each(&conf, on_key, &conf);
	CU_ASSERT_EQUAL(keys, conf_nkeys + conf_nlistener_keys);
	CU_ASSERT_EQUAL(changed, 0);
	conf.listener[0].backlog = 3;
	conf_each(&conf, on_key, &conf);
	CU_ASSERT_EQUAL(changed, 1);
	CU_ASSERT_STRING_EQUAL(seen, "listeners.default.backlog=3");
}

static void
log_levels_are_those_of_syslog(void)
{
	CU_ASSERT_EQUAL(conf_log_level_of(LOG_LEVEL_err), LOG_ERR);
	CU_ASSERT_EQUAL(conf_log_level_of(LOG_LEVEL_debug), LOG_DEBUG);
	CU_ASSERT_EQUAL(conf_log_level_of(255), LOG_NOTICE);
}

UNIT_MAIN("shared/conf/conf", TEST(a_snapshot_that_is_not_sealed_or_not_whole_is_refused),
    TEST(a_snapshot_with_any_value_out_of_bounds_is_refused),
    TEST(noise_is_refused_or_within_bounds), TEST(a_snapshot_can_not_be_changed),
    TEST(an_override_that_is_refused_changes_nothing_and_says_why),
    TEST(an_override_sets_what_the_file_would), TEST(two_listeners_may_share_port_zero_but_no_name),
    TEST(differences_are_told_key_by_key), TEST(all_keys_are_shown_with_what_was_changed),
    TEST(log_levels_are_those_of_syslog))
