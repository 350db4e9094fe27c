#include "shared/net/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char dir[64];
static struct conf conf;
static struct conf_error err;

static const char *
path_of(const char *name)
{
	static char path[4][200];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void
set(struct conf_string *key, const char *name)
{
	snprintf(key->s, sizeof(key->s), "%s", path_of(name));
}

static void
begin(void)
{
	strcpy(dir, "/tmp/tbmq-tls-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	conf_defaults(&conf);
	conf.nlisteners = 2;
	conf.listener[1] = conf.listener[0];
	strcpy(conf.listener[1].name.s, "secure");
	conf.listener[1].type = TRANSPORT_tls;
	set(&conf.listener[1].certificate, "it.crt");
}

static void
end(void)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static bool
is_file(const struct tls_files *f, size_t *at, enum tls_file_kind kind, const char *name,
    const char *data)
{
	struct tls_file one;

	return tls_files_next(f, at, &one) == 1 && one.listener == 1 && one.kind == kind &&
	    strcmp(one.path, path_of(name)) == 0 && span_eq(one.data, span_str(data));
}

static void
all_of_a_listener_come_in_the_order_they_are_needed(void)
{
	struct conf_listener *l = &conf.listener[1];
	struct tls_files f;
	struct tls_file one;
	size_t at = 0;
	int fd;

	begin();
	put("it.crt", "certificate");
	put("it.key", "key");
	put("password", "secret\nmore\n");
	put("ca", "authorities");
	put("crl", "revocations");
	set(&l->certificate_key, "it.key");
	set(&l->key_password_file, "password");
	set(&l->client_authorities, "ca");
	set(&l->client_revocations, "crl");
	CU_ASSERT_TRUE(tls_files_are_needed(&conf));
	fd = tls_files_read(&conf, &err);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(tls_files_map(fd, &f), 0);
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_PASSWORD, "password", "secret"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_CERTIFICATE, "it.crt", "certificate"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_KEY, "it.key", "key"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_AUTHORITIES, "ca", "authorities"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_REVOCATIONS, "crl", "revocations"));
	CU_ASSERT_EQUAL(tls_files_next(&f, &at, &one), 0);
	tls_files_unmap(&f);
	/* Nobody who has it can change it. */
	CU_ASSERT_TRUE(pwrite(fd, "x", 1, 0) < 0);
	close(fd);
	conf.listener[1].type = TRANSPORT_tcp;
	CU_ASSERT_FALSE(tls_files_are_needed(&conf));
	end();
}

static void
a_directory_has_pairs_in_order(void)
{
	struct tls_files f;
	size_t at = 0;
	int fd;

	begin();
	CU_ASSERT_EQUAL(mkdir(path_of("it.crt"), 0700), 0);
	CU_ASSERT_TRUE(tls_files_read(&conf, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no file in"));
	put("it.crt/b.crt", "b");
	put("it.crt/b.key", "key of b");
	put("it.crt/a.crt", "a");
	put("it.crt/.hidden.crt", "no");
	put("it.crt/readme", "no");
	CU_ASSERT_EQUAL(tls_files_read(&conf, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a.key: No such file"));
	put("it.crt/a.key", "key of a");
	fd = tls_files_read(&conf, &err);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(tls_files_map(fd, &f), 0);
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_CERTIFICATE, "it.crt/a.crt", "a"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_KEY, "it.crt/a.key", "key of a"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_CERTIFICATE, "it.crt/b.crt", "b"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_KEY, "it.crt/b.key", "key of b"));
	tls_files_unmap(&f);
	close(fd);
	end();
}

static void
what_can_not_be_read_is_named(void)
{
	static char large[5 << 20];

	begin();
	CU_ASSERT_EQUAL(tls_files_read(&conf, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "listeners.secure.certificate: cannot read"));
	put("it.crt", "certificate");
	set(&conf.listener[1].certificate_key, "none");
	CU_ASSERT_EQUAL(tls_files_read(&conf, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "listeners.secure.certificate_key: cannot read"));
	/* It would not end. */
	CU_ASSERT_EQUAL(mkfifo(path_of("pipe"), 0600), 0);
	set(&conf.listener[1].certificate_key, "pipe");
	CU_ASSERT_EQUAL(tls_files_read(&conf, &err), -EINVAL);
	memset(large, 'x', sizeof(large) - 1);
	put("large", large);
	set(&conf.listener[1].certificate_key, "large");
	CU_ASSERT_EQUAL(tls_files_read(&conf, &err), -EFBIG);
	end();
}

static int
memfd_of(const void *p, size_t len, int seals)
{
	int fd = memfd_create("tls", MFD_ALLOW_SEALING);

	CU_ASSERT_EQUAL(write(fd, p, len), (ssize_t)len);
	CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Every length and number that can't be. */
static void
what_does_not_fit_is_refused(void)
{
	static const struct {
		uint32_t listener, kind, path_len, len;
	} bad[] = {
		{ CONF_LISTENERS, 0, 2, 1 },
		{ 0, TLS_FILE_KINDS, 2, 1 },
		{ 0, 0, 0, 1 },
		{ 0, 0, 2, 2 },
		{ 0, 0, 4, 0 },
		{ 0, 0, 1, 2 }, /* the path has no end */
		{ 0, 0, UINT32_MAX, 1 },
		{ 0, 0, 2, UINT32_MAX },
	};
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	struct tls_files f;
	struct tls_file one;
	uint8_t bytes[19];
	size_t at;
	int fd;

	memcpy(bytes + 16, "p\0d", 3);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(bytes, &bad[i], 16);
		fd = memfd_of(bytes, sizeof(bytes), seals);
		at = 0;
		CU_ASSERT_EQUAL_FATAL(tls_files_map(fd, &f), 0);
		CU_ASSERT_EQUAL(tls_files_next(&f, &at, &one), -EPROTO);
		tls_files_unmap(&f);
		close(fd);
	}
	fd = memfd_of(bytes, 15, seals);
	at = 0;
	CU_ASSERT_EQUAL_FATAL(tls_files_map(fd, &f), 0);
	CU_ASSERT_EQUAL(tls_files_next(&f, &at, &one), -EPROTO);
	tls_files_unmap(&f);
	close(fd);
	fd = memfd_of(bytes, 0, seals);
	CU_ASSERT_EQUAL(tls_files_map(fd, &f), -EPROTO);
	close(fd);
	fd = memfd_of(bytes, sizeof(bytes), F_SEAL_SHRINK);
	CU_ASSERT_EQUAL(tls_files_map(fd, &f), -EPROTO);
	close(fd);
}

static void
a_directory_has_whom_to_trust(void)
{
	struct conf_listener *l = &conf.listener[1];
	struct tls_files f;
	struct tls_file one;
	size_t at = 0;
	int fd;

	begin();
	CU_ASSERT_EQUAL(mkdir(path_of("trust"), 0700), 0);
	set(&l->client_authorities, "trust");
	set(&l->client_revocations, "trust");
	put("it.crt", "certificate and key");
	put("trust/.hidden.crt", "x");
	put("trust/0123abcd.0", "x");
	put("trust/pem", "x");
	CU_ASSERT_EQUAL(tls_files_read(&conf, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "secure.client_authorities: no file in "));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, " ends in .crt or .pem"));
	put("trust/b.crt", "second");
	put("trust/a.crt", "first");
	CU_ASSERT_EQUAL(tls_files_read(&conf, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "secure.client_revocations: no file in "));
	put("trust/c.crl", "list");
	fd = tls_files_read(&conf, &err);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(tls_files_map(fd, &f), 0);
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_CERTIFICATE, "it.crt", "certificate and key"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_KEY, "it.crt", "certificate and key"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_AUTHORITIES, "trust/a.crt", "first"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_AUTHORITIES, "trust/b.crt", "second"));
	CU_ASSERT_TRUE(is_file(&f, &at, TLS_FILE_REVOCATIONS, "trust/c.crl", "list"));
	CU_ASSERT_EQUAL(tls_files_next(&f, &at, &one), 0);
	tls_files_unmap(&f);
	close(fd);
	end();
}

UNIT_MAIN("shared/net/tls_files", TEST(all_of_a_listener_come_in_the_order_they_are_needed),
    TEST(a_directory_has_pairs_in_order), TEST(a_directory_has_whom_to_trust),
    TEST(what_can_not_be_read_is_named), TEST(what_does_not_fit_is_refused))
