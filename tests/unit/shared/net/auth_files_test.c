#include "shared/net/auth_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define SECRET "a secret of more than 32 bytes, I hope"

static char path[AUTH_FILES][64];
static struct conf conf;
static struct conf_error err;

static void
put(enum auth_file i, struct conf_string *key, const char *text)
{
	int fd;

	snprintf(path[i], sizeof(path[i]), "/tmp/auth_files.XXXXXX");
	fd = mkstemp(path[i]);
	CU_ASSERT_EQUAL_FATAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	strcpy(key->s, path[i]);
}

static void
begin(const char *providers)
{
	conf_defaults(&conf);
	strcpy(conf.authentication.s, providers);
	put(AUTH_FILE_JWT_SECRET, &conf.jwt_secret_file, SECRET "\n");
	put(AUTH_FILE_HTTP_HEADERS, &conf.http_headers_file, "X: y\r\n\nA:b");
}

static void
end(void)
{
	unlink(path[AUTH_FILE_JWT_SECRET]);
	unlink(path[AUTH_FILE_HTTP_HEADERS]);
}

static bool
says(const char *text)
{
	return strstr(err.text, text) != NULL;
}

static void
file_that_cannot_be_read_is_named(void)
{
	int fd = -7;

	begin("jwt, http");
	strcpy(conf.jwt_public_key.s, "/nowhere/at/all");
	CU_ASSERT_EQUAL(auth_files_read(&conf, &fd, &err), -ENOENT);
	CU_ASSERT_TRUE(says("jwt_public_key: cannot read /nowhere/at/all: No such file"));
	strcpy(conf.jwt_public_key.s, "/");
	CU_ASSERT_EQUAL(auth_files_read(&conf, &fd, &err), -EINVAL);
	CU_ASSERT_EQUAL(fd, -7);
	end();
}

static void
what_is_not_what_it_should_be_is_told(void)
{
	static const char *const bad[] = { "x\n", ": x", "A B: x", "A: b\x01", "A: b\x7f\n",
		"A: b\nx" };
	char why[256];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct auth_files f = { .file[AUTH_FILE_HTTP_HEADERS] = span_str(bad[i]) };

		CU_ASSERT_EQUAL(auth_files_look(&f, why), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "http_headers_file"));
	}
	begin("jwt, http");
	CU_ASSERT_EQUAL(auth_files_check(&conf, &err), 0);
	conf.jwt_secret_base64 = true;
	CU_ASSERT_EQUAL(auth_files_check(&conf, &err), -EINVAL);
	CU_ASSERT_TRUE(says("jwt_secret_file: /tmp/auth_files.") && says("is not in base64"));
	CU_ASSERT_FALSE(says("secret of"));
	/* Nobody asks for them. */
	strcpy(conf.authentication.s, "basic");
	CU_ASSERT_EQUAL(auth_files_check(&conf, &err), 0);
	end();
}

static void
memory_that_cannot_be_is_refused(void)
{
	uint32_t heads[2 * AUTH_FILES] = { 0 };
	struct auth_files f;
	int fd = memfd_create("x", MFD_ALLOW_SEALING);

	heads[AUTH_FILES] = 1; /* byte of the first, which isn't there */
	CU_ASSERT_EQUAL(write(fd, heads, sizeof(heads)), sizeof(heads));
	CU_ASSERT_EQUAL(auth_files_map(fd, &f), -EPROTO); /* could be changed */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	CU_ASSERT_EQUAL(auth_files_map(fd, &f), -EPROTO);
	close(fd);
	CU_ASSERT_EQUAL(auth_files_map(-1, &f), -EPROTO);
}

static void
all_that_is_asked_for_comes_along(void)
{
	struct auth_files f;
	struct jwt_keys *keys;
	char why[256];
	int fd;

	begin("jwt");
	CU_ASSERT_EQUAL(auth_files_read(&conf, &fd, &err), 0);
	CU_ASSERT_EQUAL(auth_files_map(fd, &f), 0);
	CU_ASSERT_TRUE(span_eq(f.file[AUTH_FILE_JWT_SECRET], span_str(SECRET "\n")));
	CU_ASSERT_PTR_NULL(f.file[AUTH_FILE_JWT_PUBLIC_KEY].p);
	CU_ASSERT_PTR_NULL(f.file[AUTH_FILE_HTTP_HEADERS].p);
	CU_ASSERT_EQUAL(auth_files_keys(&conf, &f, &keys, why), 0);
	CU_ASSERT_EQUAL(keys->n, 1);
	jwt_keys_free(keys);
	auth_files_unmap(&f);
	close(fd);
	strcpy(conf.authentication.s, "http");
	CU_ASSERT_EQUAL(auth_files_read(&conf, &fd, &err), 0);
	CU_ASSERT_EQUAL(auth_files_map(fd, &f), 0);
	CU_ASSERT_PTR_NULL(f.file[AUTH_FILE_JWT_SECRET].p);
	CU_ASSERT_TRUE(span_eq(f.file[AUTH_FILE_HTTP_HEADERS], span_str("X: y\r\n\nA:b")));
	auth_files_unmap(&f);
	close(fd);
	strcpy(conf.authentication.s, "");
	CU_ASSERT_EQUAL(auth_files_read(&conf, &fd, &err), 0);
	CU_ASSERT_EQUAL(fd, -1);
	end();
}

UNIT_MAIN("shared/net/auth_files", TEST(file_that_cannot_be_read_is_named),
    TEST(what_is_not_what_it_should_be_is_told), TEST(memory_that_cannot_be_is_refused),
    TEST(all_that_is_asked_for_comes_along))
