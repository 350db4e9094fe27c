#include "shared/net/exposed.h"

#include "tests/unit/unit.h"

/* How many listeners of that text are warned about; the last one's text. */
static unsigned
warned(const char *conf, char text[EXPOSED_TEXT_MAX])
{
	static struct conf c;
	struct conf_error err = { "" };
	unsigned n = 0;

	CU_ASSERT_EQUAL_FATAL(conf_parse_string(conf, &c, &err), 0);
	text[0] = '\0';
	for (uint32_t i = 0; exposed_next(&c, &i, text);)
		n++;
	return n;
}

#define LISTENER(keys) "listeners = ({ name = \"one\"; " keys " });"
#define PAIR " certificate = \"/c\"; certificate_key = \"/k\"; "

static void
an_open_listener_beyond_this_machine_is_told(void)
{
	static const char *const open[] = {
		LISTENER("address = \"*\";"),
		LISTENER("address = \"0.0.0.0\";"),
		LISTENER("address = \"::\";"),
		LISTENER("address = \"192.0.2.7\";"),
		LISTENER("address = \"2001:db8::1\";"),
		LISTENER("address = \"*\"; type = \"ws\";"),
		LISTENER("address = \"*\"; type = \"tls\";" PAIR),
		LISTENER("address = \"*\"; type = \"tls\";" PAIR
			 "client_certificate = \"optional\"; client_authorities = \"/a\";"),
		LISTENER("address = \"*\"; type = \"tls\";" PAIR "psk_file = \"/p\";"),
		/* Any name is good for as long as nobody looks at it. */
		LISTENER("address = \"*\"; allow_anonymous = false;"),
		"authentication = \"basic\";" LISTENER("address = \"*\";"),
	};
	char text[EXPOSED_TEXT_MAX];

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		CU_ASSERT_EQUAL(warned(open[i], text), 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "listeners.one: "));
	}
}

static void
one_that_asks_or_that_nobody_else_reaches_is_not(void)
{
	static const char *const shut[] = {
		"",
		LISTENER("address = \"127.0.0.1\";"),
		LISTENER("address = \"127.8.9.1\";"),
		LISTENER("address = \"::1\";"),
		LISTENER("type = \"unix\"; path = \"/run/x\"; mode = \"0666\";"),
		"authentication = \"basic\";" LISTENER("address = \"*\"; allow_anonymous = false;"),
		"acl_file = \"/rules\";" LISTENER("address = \"*\";"),
		LISTENER("address = \"*\"; type = \"tls\";" PAIR
			 "client_certificate = \"required\"; client_authorities = \"/a\";"),
		LISTENER("address = \"*\"; type = \"tls\"; psk_file = \"/p\";"),
	};
	char text[EXPOSED_TEXT_MAX];

	for (size_t i = 0; i < sizeof(shut) / sizeof(shut[0]); i++)
		CU_ASSERT_EQUAL(warned(shut[i], text), 0);
}

static void
each_is_told_with_what_is_missing(void)
{
	char text[EXPOSED_TEXT_MAX];

	CU_ASSERT_EQUAL(warned("listeners = ({ name = \"a\"; address = \"*\"; }, { name = \"b\"; "
			       "port = 1884; }, { name = \"c\"; address = \"*\"; port = 1885; });",
			    text),
	    2);
	CU_ASSERT_STRING_EQUAL(text,
	    "listeners.c: whoever reaches this machine comes in without being known; set "
	    "authentication and allow_anonymous = false, or rules by acl_file");
	warned("authentication = \"basic\";" LISTENER("address = \"*\";"), text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "; set allow_anonymous = false, or"));
}

UNIT_MAIN("shared/net/exposed", TEST(an_open_listener_beyond_this_machine_is_told),
    TEST(one_that_asks_or_that_nobody_else_reaches_is_not), TEST(each_is_told_with_what_is_missing))
