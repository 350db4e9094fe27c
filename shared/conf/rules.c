#include "shared/conf/rules.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "shared/acl/acl.h"

static_assert(RULES_FROM <= ACL_IMAGES, "a set has them all");

int
rules_read(const struct conf *c, int *fd_out, struct conf_error *err)
{
	struct acl_error why = { "" };
	int fd = -1;

	if (c->acl_file.s[0] != '\0') {
		fd = acl_read(c->acl_file.s, c->acl_file.s,
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

void
rules_give(struct rules_given *g, enum rules_from from, int fd)
{
	if (g->of[from].is_there)
		close(g->of[from].fd);
	g->of[from].fd = fd;
	g->of[from].is_there = true;
}

void
rules_drop(struct rules_given *g)
{
	for (unsigned i = 0; i < RULES_FROM; i++)
		if (g->of[i].is_there)
			close(g->of[i].fd);
	*g = (struct rules_given){ 0 };
}

/* Where no rule decides. Without a file the first rule that is kept should not lock everybody out. */
static bool
allows(const struct conf *c)
{
	if (c->acl_file.s[0] == '\0')
		return true;
	return c->acl_format == ACL_FORMAT_tbmq && c->acl_default == ACL_DEFAULT_allow;
}

int
rules_map(const struct conf *c, struct rules_given *g, struct acl_set **out)
{
	struct acl_image *im[RULES_FROM];
	struct acl_set *set = NULL;
	unsigned n = 0;
	int err = 0;

	if (c->acl_file.s[0] != '\0' && !g->of[RULES_FILE].is_there)
		err = -EPROTO;
	for (unsigned i = 0; i < RULES_FROM && err == 0; i++)
		if (g->of[i].is_there) {
			err = acl_image_map(g->of[i].fd, &im[n]);
			n += err == 0;
		}
	rules_drop(g);
	if (err == 0 && n > 0 && (set = acl_set_new(im, n, allows(c))) == NULL)
		err = -ENOMEM;
	for (unsigned i = 0; i < n && err != 0; i++)
		acl_image_free(im[i]);
	if (err == 0)
		*out = set;
	return err;
}
