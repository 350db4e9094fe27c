/* Files and lines: what is the same for both formats. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/acl/build.h"
#include "shared/mqtt/topic.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int
failed(struct acl_error *err, const char *path, int why)
{
	snprintf(err->text, sizeof(err->text), "cannot read %.255s: %s", path, strerror(why));
	return -why;
}

static int
seal(const void *p, size_t len)
{
	int fd = memfd_create("tbmq:acl", MFD_CLOEXEC | MFD_ALLOW_SEALING), err = 0;

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < len && err == 0;) {
		ssize_t n = write(fd, (const uint8_t *)p + at, len - at);

		if (n < 0 && errno != EINTR)
			err = -errno;
		else if (n > 0)
			at += (size_t)n;
	}
	if (err == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		err = -errno;
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

int
acl_read(const char *path, const char *name, enum acl_format format, struct acl_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), bad = 0;
	struct stat st;
	size_t len = 0;
	void *p = NULL;
	FILE *in = NULL;

	if (fd < 0)
		return failed(err, name, errno);
	if (fstat(fd, &st) != 0)
		bad = errno;
	else if (!S_ISREG(st.st_mode))
		bad = EINVAL;
	else if (st.st_size > ACL_FILE_MAX)
		bad = EFBIG;
	else if ((in = fdopen(fd, "r")) == NULL)
		bad = ENOMEM;
	if (in == NULL) {
		close(fd);
		return failed(err, name, bad);
	}
	bad = acl_compile(in, name, format, &p, &len, err);
	fclose(in);
	if (bad != 0)
		return bad;
	bad = seal(p, len);
	free(p);
	if (bad < 0)
		snprintf(err->text, sizeof(err->text), "%.255s: no memory for the rules: %s", name,
		    strerror(-bad));
	return bad;
}

int
acl_say(struct acl_reading *r, const char *fmt, ...)
{
	int n =
	    snprintf(r->err->text, sizeof(r->err->text), "%.255s:%u: ", r->name, (unsigned)r->line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->err->text + n, sizeof(r->err->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int
acl_next_line(struct acl_reading *r)
{
	static const char mark[] = "\xef\xbb\xbf"; /* that some editors begin with */
	ssize_t n;

	do {
		n = getline(&r->text, &r->cap, r->in);
		if (n < 0 && ferror(r->in))
			return errno == ENOMEM ? -ENOMEM : failed(r->err, r->name, errno);
		if (n < 0)
			return 0;
		r->line++;
		if (r->line == 1 && n >= 3 && memcmp(r->text, mark, 3) == 0) {
			n -= 3;
			memmove(r->text, r->text + 3, (size_t)n + 1);
		}
		while (n > 0 && strchr(" \t\r\n", r->text[n - 1]) != NULL && r->text[n - 1] != '\0')
			n--;
		if (n > ACL_LINE_MAX)
			return acl_say(r, "longer than %d bytes", ACL_LINE_MAX);
		r->text[n] = '\0';
		r->len = (size_t)n;
		if (!utf8_is_valid(span_of(r->text, r->len)))
			return acl_say(r, "no text in UTF-8");
	} while (n == 0);
	return 1;
}

/* Bytes of the name in "%{NAME}" at its beginning; 0: it is none. */
static size_t
attribute_at(struct span s)
{
	size_t n = 0;

	if (s.len < 4 || s.p[0] != '%' || s.p[1] != '{')
		return 0;
	while (n < ACL_ATTRIBUTE_MAX && n + 2 < s.len &&
	    (isalnum(s.p[n + 2]) || (s.p[n + 2] != '\0' && strchr("_-.", s.p[n + 2]) != NULL)))
		n++;
	return n + 2 < s.len && s.p[n + 2] == '}' ? n : 0;
}

int
acl_placeholders(struct acl_reading *r, char *topic, size_t *len, bool strict)
{
	static const struct {
		const char *text;
		uint8_t byte;
	} known[] = {
		{ "%c", ACL_P_CLIENT },
		{ "%u", ACL_P_USER },
		{ "%{cn}", ACL_P_CERT },
		{ "%%", '%' },
	};
	size_t to = 0, n = strict ? sizeof(known) / sizeof(known[0]) : 2;

	for (size_t at = 0; at < *len;) {
		size_t k = 0, l = 0;

		for (; topic[at] == '%' && k < n; k++) {
			l = strlen(known[k].text);
			if (l <= *len - at && memcmp(topic + at, known[k].text, l) == 0)
				break;
		}
		if (k == n && strict && (l = attribute_at(span_of(topic + at, *len - at))) > 0) {
			topic[to++] = (char)ACL_P_ATTRIBUTE;
			memmove(topic + to, topic + at + 2, l);
			to += l;
			topic[to++] = (char)ACL_P_ATTRIBUTE;
			at += l + 3;
		} else if (topic[at] != '%' || (k == n && !strict)) {
			topic[to++] = topic[at++];
		} else if (k < n) {
			topic[to++] = (char)known[k].byte;
			at += l;
		} else {
			return acl_say(r,
			    "\"%%\" must be in %%c, %%u, %%{cn}, %%{ATTRIBUTE}, or %%%% for "
			    "itself");
		}
	}
	*len = to;
	return 0;
}

int
acl_check_filter(struct acl_reading *r, struct span filter)
{
	struct span name, inner;

	if (filter.len > UINT16_MAX || !filter_is_valid(filter))
		return acl_say(r, "the filter is not valid");
	if (filter_share(filter, &name, &inner))
		return acl_say(
		    r, "shared subscriptions are checked by their filter, without $share/NAME/");
	if (topic_levels(filter) > ACL_LEVELS)
		return acl_say(r, "the filter has more than %d levels", ACL_LEVELS);
	return 0;
}
