/*
 * unit.h - main() of a unit test
 *
 * UNIT_MAIN("shared/ipc/ring", TEST(first), TEST(second)) runs the functions as one CUnit suite, in
 * order, and ends with the line "N passed, N failed" that `make check` adds up. An argument picks the
 * tests whose names contain it.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

struct unit_test {
	const char *name;
	void (*fn)(void);
};

/* clang-format off */
#define TEST(fn) { #fn, fn }
/* clang-format on */

#define UNIT_MAIN(suite, ...)                                                                      \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		static const struct unit_test tests[] = { __VA_ARGS__ };                           \
                                                                                                   \
		return unit_run(                                                                   \
		    suite, tests, sizeof(tests) / sizeof(tests[0]), argc > 1 ? argv[1] : "");      \
	}

static inline int
unit_run(const char *suite_name, const struct unit_test *tests, size_t n, const char *pick)
{
	CU_pSuite suite;
	unsigned failed, run;

	/* Unbuffered: a test that forks would print what is in the buffer twice. */
	setvbuf(stdout, NULL, _IONBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS ||
	    (suite = CU_add_suite(suite_name, NULL, NULL)) == NULL)
		return EXIT_FAILURE;
	for (size_t i = 0; i < n; i++)
		if (strstr(tests[i].name, pick) != NULL &&
		    CU_add_test(suite, tests[i].name, tests[i].fn) == NULL)
			return EXIT_FAILURE;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (CU_basic_run_tests() != CUE_SUCCESS)
		return EXIT_FAILURE;
	failed = CU_get_number_of_tests_failed();
	run = CU_get_number_of_tests_run();
	CU_cleanup_registry();
	printf("%u passed, %u failed\n", run - failed, failed);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
