#include "tests/unit/shared/acl/lib.h"

#include <errno.h>
#include <unistd.h>

struct wrong {
	const char *text, *says;
};

static void
all_are_refused(enum acl_format f, const struct wrong *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct acl_error err = { "" };
		void *p = NULL;
		size_t len;

		CU_ASSERT_EQUAL(compile(w[i].text, f, &p, &len, &err), -EINVAL);
		if (strstr(err.text, w[i].says) == NULL)
			fprintf(stderr, "\"%s\" says \"%s\"\n", w[i].text, err.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, w[i].says));
		CU_ASSERT_PTR_NULL(p);
	}
}

static void
wrong_lines_are_told_with_their_number(void)
{
	static const struct wrong w[] = {
		{ "permit all all #\n", "rules:1: \"permit\"" },
		{ "# c\n\nallow\n", "rules:3: who it is about is missing" },
		{ "allow everybody all #\n", "rules:1: who it is about must be" },
		{ "allow user\n", "rules:1: a name is missing" },
		{ "allow user \"\" all #\n", "a name is missing" },
		{ "allow all\n", "publish, subscribe, receive or all is missing" },
		{ "allow all write #\n", "what it is about must be" },
		{ "allow all publish,\n", "publish, subscribe, receive or all is missing" },
		{ "allow all publish\n", "a filter is missing" },
		{ "allow all publish a/#/b\n", "rules:1: the filter is not valid" },
		{ "allow all publish a+\n", "the filter is not valid" },
		{ "allow all publish +%c\n", "the filter is not valid" },
		{ "allow all subscribe $share/g/a\n", "shared subscriptions" },
		{ "allow all publish a b\n", "\"b\" is too much" },
		{ "allow all publish %x\n", "\"%\" must be in" },
		{ "allow all publish a%\n", "\"%\" must be in" },
		{ "allow all publish a/%{}\n", "rules:1: \"%\" must be in" },
		{ "allow all publish a/%{b c}\n", "rules:1: \"%\" must be in" },
		{ "allow all publish a/%{b/c}\n", "rules:1: \"%\" must be in" },
		{ "allow all publish a/%{b\n", "rules:1: \"%\" must be in" },
		{ "allow all publish ~a(\n",
		    "rules:1: \"a(\" is no regular expression, at character 3: missing closing "
		    "parenthesis" },
		{ "allow all publish ~^dev/%c\n", "placeholders can't be" },
		{ "allow user ~[ all #\n", "rules:1: \"[\"" },
		{ "allow group ~g all #\n", "can't be a regular expression" },
		{ "group ~g user a\n", "can't be a regular expression" },
		{ "group g all\n", "there are user, client or cert" },
		{ "group g user\n", "a name is missing" },
		{ "group g user a,\n", "a name is missing" },
		{ "group g user a b\n", "\"b\" is too much" },
		{ "allow user \"a all #\n", "a quote is not closed" },
		{ "allow user \"a\"b all #\n", "a blank is missing behind a quote" },
		{ "allow all all \xff\n", "rules:1: no text in UTF-8" },
		{ "allow all all #\nallow all all \xc0\x80\n", "rules:2: no text in UTF-8" },
	};

	all_are_refused(ACL_TBMQ, w, sizeof(w) / sizeof(w[0]));
}

static void
wrong_lines_of_mosquittos_are_told_too(void)
{
	static const struct wrong w[] = {
		{ "acl a\n", "rules:1: \"acl\"" },
		{ "user\n", "rules:1: the user's name is missing" },
		{ "\ntopic\n", "rules:2: the topic is missing" },
		{ "topic rw a\n", "\"rw\" must be read" },
		{ "topic read a/#/b\n", "the filter is not valid" },
		{ "pattern read a/+%c\n", "the filter is not valid" },
	};

	all_are_refused(ACL_MOSQUITTO, w, sizeof(w) / sizeof(w[0]));
}

static void
a_line_that_never_ends_is_refused(void)
{
	static char text[ACL_LINE_MAX + 100];
	const struct wrong w = { text, "rules:1: longer than" };

	memset(text, 'a', sizeof(text) - 1);
	all_are_refused(ACL_TBMQ, &w, 1);
}

static void
deep_filters_are_refused(void)
{
	static char text[3 * ACL_LEVELS];
	const struct wrong w = { text, "levels" };
	int n = sprintf(text, "allow all all a");

	for (int i = 0; i < ACL_LEVELS; i++)
		n += sprintf(text + n, "/a");
	all_are_refused(ACL_TBMQ, &w, 1);
	text[n - 2] = '\0';
	rules_free(&(struct rules[]){ rules_of(text) }[0]);
}

static void
what_is_no_file_is_told(void)
{
	struct acl_error err;

	CU_ASSERT_EQUAL(acl_read("/nonexistent/acl", "/nonexistent/acl", ACL_TBMQ, &err), -ENOENT);
	CU_ASSERT_STRING_EQUAL(err.text, "cannot read /nonexistent/acl: No such file or directory");
	CU_ASSERT_EQUAL(acl_read("/", "/", ACL_TBMQ, &err), -EINVAL);
	CU_ASSERT_EQUAL(acl_read("/dev/zero", "/dev/zero", ACL_TBMQ, &err), -EINVAL);
}

static void
rules_are_kept_as_they_were_written(void)
{
	struct rules r = rules_of("\xef\xbb\xbf# rules\r\n"
				  "  deny   user \"a \\\"b\\\"\"  publish, receive\t\"x y/#\"  \r\n"
				  "\n"
				  "allow all all ~\"^a\\\\\\.b \\\"c\"");
	struct acl_rule one = acl_image_rule(r.image, 0), two = acl_image_rule(r.image, 1);

	CU_ASSERT_EQUAL(acl_image_rules(r.image), 2);
	CU_ASSERT_TRUE(span_eq(acl_image_name(r.image), span_str("rules")));
	CU_ASSERT_TRUE(span_eq(
	    one.text, span_str("deny   user \"a \\\"b\\\"\"  publish, receive\t\"x y/#\"")));
	CU_ASSERT_TRUE(one.line == 2 && !one.allow);
	CU_ASSERT_TRUE(two.line == 4 && two.allow);
	CU_ASSERT_EQUAL(decide(&r, who_of("c", "a \"b\"", NULL), ACL_PUBLISH, "x y/z").rule, 0);
	CU_ASSERT_EQUAL(decide(&r, who_of("c", NULL, NULL), ACL_PUBLISH, "a\\.b \"c").rule, 1);
	rules_free(&r);
}

static void
a_file_becomes_an_image_that_is_mapped(void)
{
	char path[] = "/tmp/acl_test_XXXXXX";
	int fd = mkstemp(path), memfd;
	static const char text[] = "allow all publish a\n";
	struct acl_image *im = NULL;
	struct acl_error err;

	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	memfd = acl_read(path, path, ACL_TBMQ, &err);
	CU_ASSERT_TRUE(memfd >= 0);
	CU_ASSERT_EQUAL(acl_image_map(memfd, &im), 0);
	CU_ASSERT_EQUAL(acl_image_rules(im), 1);
	acl_image_free(im);
	CU_ASSERT_EQUAL(acl_image_map(fd, &im), -EPROTO); /* not sealed */
	close(memfd);
	close(fd);
	unlink(path);
}

static void
the_examples_are_right(void)
{
	struct acl_error err = { "" };
	int own = acl_read("etc/acl.example", "etc/acl.example", ACL_TBMQ, &err),
	    mosquittos = acl_read(
		"etc/acl.mosquitto.example", "etc/acl.mosquitto.example", ACL_MOSQUITTO, &err);

	CU_ASSERT_TRUE(own >= 0 && mosquittos >= 0);
	CU_ASSERT_STRING_EQUAL(err.text, "");
	close(own);
	close(mosquittos);
}

static void
no_rules_are_rules_too(void)
{
	struct rules r = rules_of("# nothing\n");

	CU_ASSERT_FALSE(decide(&r, who_of("c", NULL, NULL), ACL_PUBLISH, "a").allowed);
	CU_ASSERT_FALSE(decide(&r, who_of("c", NULL, NULL), ACL_SUBSCRIBE, "#").allowed);
	rules_free(&r);
}

UNIT_MAIN("shared/acl/parse", TEST(wrong_lines_are_told_with_their_number),
    TEST(wrong_lines_of_mosquittos_are_told_too), TEST(a_line_that_never_ends_is_refused),
    TEST(deep_filters_are_refused), TEST(what_is_no_file_is_told),
    TEST(rules_are_kept_as_they_were_written), TEST(a_file_becomes_an_image_that_is_mapped),
    TEST(the_examples_are_right), TEST(no_rules_are_rules_too))
