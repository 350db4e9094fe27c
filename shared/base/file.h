/*
 * file.h - a whole file in memory
 *
 * Runs in: processes that may read files; blocks as long as the disk does.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* The caller's to free; NULL with errno: also of what is no regular file (EINVAL), or longer than max (EFBIG). */
uint8_t *file_read(const char *path, size_t max, size_t *len_out);

#endif
