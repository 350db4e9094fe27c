#include "shared/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

uint8_t *
file_read(const char *path, size_t max, size_t *len_out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;
	uint8_t *data = NULL;
	struct stat st;
	ssize_t n = -1;

	if (fd < 0 || fstat(fd, &st) != 0)
		err = errno;
	else if (!S_ISREG(st.st_mode))
		err = EINVAL;
	else if ((uint64_t)st.st_size > max)
		err = EFBIG;
	else if ((data = malloc((size_t)st.st_size + 1)) == NULL)
		err = ENOMEM;
	else if ((n = pread(fd, data, (size_t)st.st_size, 0)) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err != 0) {
		free(data);
		errno = err;
		return NULL;
	}
	*len_out = (size_t)n;
	return data;
}
