#include "shared/conf/rules.h"

#include <errno.h>
#include <unistd.h>

#include "shared/acl/acl.h"

int
rules_read(const struct conf *c, int *fd_out, struct conf_error *err)
{
	struct acl_error why = { "" };
	int fd = -1;

	if (c->acl_file.s[0] != '\0') {
		fd = acl_read(c->acl_file.s,
		    c->acl_format == ACL_FORMAT_mosquitto ? ACL_MOSQUITTO : ACL_TBMQ, &why);
		if (fd < 0) {
			snprintf(err->text, sizeof(err->text), "%.500s", why.text);
			return fd;
		}
	}
	*fd_out = fd;
	return 0;
}

int
rules_check(const struct conf *c, struct conf_error *err)
{
	int fd, bad = rules_read(c, &fd, err);

	if (bad == 0 && fd >= 0)
		close(fd);
	return bad;
}

int
rules_map(const struct conf *c, int fd, struct acl_set **out)
{
	struct acl_image *im = NULL;
	struct acl_set *set = NULL;
	int err = 0;

	if (c->acl_file.s[0] != '\0')
		err = fd >= 0 ? acl_image_map(fd, &im) : -EPROTO;
	if (im != NULL) {
		set = acl_set_new(&im, 1, rules_allow(c));
		if (set == NULL) {
			acl_image_free(im);
			err = -ENOMEM;
		}
	}
	if (err == 0)
		*out = set;
	return err;
}

bool
rules_allow(const struct conf *c)
{
	return c->acl_format == ACL_FORMAT_tbmq && c->acl_default == ACL_DEFAULT_allow;
}
