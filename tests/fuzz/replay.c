/*
 * replay.c - runs a fuzz target once for every file of its corpus, without a fuzzer
 *
 * So `make check` tries each input that was ever of interest, with any compiler and sanitizer. The
 * name of a file is printed before it is tried: the last one is to blame for a crash.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool try_file(const char *path);
static uint8_t *read_all(FILE *f, size_t *len_out);

int
main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	struct dirent **entry;
	char path[4096];
	int n;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	n = scandir(argv[1], &entry, NULL, alphasort);
	if (n < 0) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < n; i++) {
		if (entry[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", argv[1], entry[i]->d_name);
			if (try_file(path))
				passed++;
			else
				failed++;
		}
		free(entry[i]);
	}
	free(entry);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool
try_file(const char *path)
{
	uint8_t *data;
	size_t len;
	FILE *f;

	printf("%s\n", path);
	f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		return false;
	}
	data = read_all(f, &len);
	fclose(f);
	if (data == NULL) {
		perror(path);
		return false;
	}
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return true;
}

/* In a piece of exactly its size: a target that reads past the end is found by the sanitizer. */
static uint8_t *
read_all(FILE *f, size_t *len_out)
{
	uint8_t *data;
	long len;

	if (fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0)
		return NULL;
	data = malloc(len > 0 ? (size_t)len : 1);
	if (data == NULL || fread(data, 1, (size_t)len, f) != (size_t)len) {
		free(data);
		return NULL;
	}
	*len_out = (size_t)len;
	return data;
}
