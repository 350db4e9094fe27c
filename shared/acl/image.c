#include "shared/acl/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool is_whole(const struct acl_image *im, size_t len);
static bool rules_are_valid(const struct acl_image *im);
static bool roots_are_valid(const struct acl_image *im);
static bool nodes_are_valid(const struct acl_image *im);
static bool subjects_are_valid(const struct acl_image *im);
static int compile(struct acl_image *im);

int
acl_image_new(struct span bytes, struct acl_image **out)
{
	struct acl_image *im = calloc(1, sizeof(*im));
	int err;

	if (im == NULL)
		return -ENOMEM;
	im->p = bytes.p;
	im->head = (const void *)bytes.p;
	if (is_whole(im, bytes.len) && rules_are_valid(im) && roots_are_valid(im) &&
	    nodes_are_valid(im) && subjects_are_valid(im))
		err = compile(im);
	else
		err = -EPROTO;
	if (err == 0)
		*out = im;
	else
		acl_image_free(im);
	return err;
}

int
acl_image_map(int fd, struct acl_image **out)
{
	int seals = fcntl(fd, F_GET_SEALS), err;
	struct stat st;
	void *p;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 || st.st_size <= 0)
		return -EPROTO;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	err = acl_image_new(span_of(p, (size_t)st.st_size), out);
	if (err == 0)
		(*out)->mapped = (size_t)st.st_size;
	else
		munmap(p, (size_t)st.st_size);
	return err;
}

void
acl_image_free(struct acl_image *im)
{
	if (im == NULL)
		return;
	for (uint32_t i = 0; im->regex != NULL && i < acl_count(im, ACL_PART_REGEXES); i++)
		regex_free(im->regex[i]);
	free(im->regex);
	if (im->mapped > 0)
		munmap((void *)(uintptr_t)im->p, im->mapped);
	free(im);
}

bool
acl_image_eq(const struct acl_image *a, const struct acl_image *b)
{
	return span_eq(span_of(a->p, a->head->size), span_of(b->p, b->head->size));
}

uint32_t
acl_image_rules(const struct acl_image *im)
{
	return acl_count(im, ACL_PART_RULES);
}

struct span
acl_image_name(const struct acl_image *im)
{
	return acl_text_of(im, im->head->name);
}

struct acl_rule
acl_image_rule(const struct acl_image *im, uint32_t n)
{
	const struct acl_rule_rec *r =
	    (const struct acl_rule_rec *)acl_part(im, ACL_PART_RULES) + n;

	return (struct acl_rule){ acl_text_of(im, r->text), r->line, r->allow != 0 };
}

/* --- is it what it has to be? ------------------------------------------------------------ */

const uint32_t acl_size_of[ACL_PARTS] = {
	[ACL_PART_RULES] = sizeof(struct acl_rule_rec),
	[ACL_PART_ROOTS] = sizeof(struct acl_root_rec),
	[ACL_PART_NODES] = sizeof(struct acl_node),
	[ACL_PART_ENDS] = sizeof(struct acl_end),
	[ACL_PART_EDGES] = sizeof(uint32_t),
	[ACL_PART_SUBJECTS] = sizeof(struct acl_subject_rec),
	[ACL_PART_MEMBERS] = sizeof(struct acl_subject_rec),
	[ACL_PART_PATTERNS] = sizeof(struct acl_pattern_rec),
	[ACL_PART_REGEXES] = sizeof(struct acl_text),
	[ACL_PART_TRIED] = sizeof(uint32_t),
	[ACL_PART_TEXT] = 1,
};

static bool
has_text(const struct acl_image *im, struct acl_text t)
{
	uint32_t n = acl_count(im, ACL_PART_TEXT);

	return t.off <= n && t.len <= n - t.off;
}

static bool
is_whole(const struct acl_image *im, size_t len)
{
	const struct acl_head *h = im->head;

	if (len < sizeof(*h) || len > UINT32_MAX || h->magic != ACL_MAGIC || h->abi != ACL_ABI ||
	    h->size != len)
		return false;
	for (unsigned k = 0; k < ACL_PARTS; k++) {
		struct acl_part p = h->part[k];

		if (p.off % 8 != 0 || p.off > len || (uint64_t)p.n * acl_size_of[k] > len - p.off)
			return false;
	}
	return has_text(im, h->name) && h->part[ACL_PART_RULES].n <= ACL_RULES_MAX &&
	    h->part[ACL_PART_REGEXES].n <= ACL_REGEXES_MAX;
}

/* A number of an element, or none. */
static bool
is_one_of(const struct acl_image *im, enum acl_part_kind k, uint32_t i)
{
	return i == ACL_NONE || i < acl_count(im, k);
}

static bool
rules_are_valid(const struct acl_image *im)
{
	const struct acl_rule_rec *r = acl_part(im, ACL_PART_RULES);
	const struct acl_end *e = acl_part(im, ACL_PART_ENDS);
	const struct acl_text *t = acl_part(im, ACL_PART_REGEXES);

	for (uint32_t i = 0; i < acl_count(im, ACL_PART_RULES); i++)
		if (!has_text(im, r[i].text) || r[i].allow > 1 ||
		    !is_one_of(im, ACL_PART_REGEXES, r[i].regex))
			return false;
	for (uint32_t i = 0; i < acl_count(im, ACL_PART_ENDS); i++)
		for (unsigned a = 0; a < 2 * ACL_ACTIONS; a++)
			if (!is_one_of(
				im, ACL_PART_RULES, e[i].rule[a / ACL_ACTIONS][a % ACL_ACTIONS]))
				return false;
	for (uint32_t i = 0; i < acl_count(im, ACL_PART_REGEXES); i++)
		if (!has_text(im, t[i]))
			return false;
	return true;
}

static bool
roots_are_valid(const struct acl_image *im)
{
	const struct acl_root_rec *r = acl_part(im, ACL_PART_ROOTS);
	const struct acl_node *n = acl_part(im, ACL_PART_NODES);
	const struct acl_rule_rec *rule = acl_part(im, ACL_PART_RULES);
	const uint32_t *tried = acl_part(im, ACL_PART_TRIED);

	for (uint32_t i = 0; i < acl_count(im, ACL_PART_ROOTS); i++) {
		for (unsigned d = 0; d < 2; d++)
			if (r[i].node[d] != ACL_NONE &&
			    (r[i].node[d] >= acl_count(im, ACL_PART_NODES) ||
				n[r[i].node[d]].parent != ACL_NONE))
				return false;
		if (r[i].tried > acl_count(im, ACL_PART_TRIED) ||
		    r[i].ntried > acl_count(im, ACL_PART_TRIED) - r[i].tried)
			return false;
	}
	for (uint32_t i = 0; i < acl_count(im, ACL_PART_TRIED); i++)
		if (tried[i] >= acl_count(im, ACL_PART_RULES) || rule[tried[i]].regex == ACL_NONE)
			return false;
	return true;
}

/* Is it no node, or one of `parent` behind `after`? */
static bool
is_child(const struct acl_image *im, uint32_t i, uint32_t parent, uint32_t after)
{
	const struct acl_node *n = acl_part(im, ACL_PART_NODES);

	return i == ACL_NONE ||
	    (i < acl_count(im, ACL_PART_NODES) && i > after && n[i].parent == parent);
}

static bool
nodes_are_valid(const struct acl_image *im)
{
	const struct acl_node *n = acl_part(im, ACL_PART_NODES);
	const uint32_t *edge = acl_part(im, ACL_PART_EDGES);
	uint32_t edges = acl_count(im, ACL_PART_EDGES);

	for (uint32_t i = 0; i < acl_count(im, ACL_PART_NODES); i++) {
		uint32_t up = n[i].parent;

		if (up != ACL_NONE && up >= i)
			return false;
		if (!has_text(im, n[i].text) || !is_one_of(im, ACL_PART_ENDS, n[i].end) ||
		    !is_one_of(im, ACL_PART_ENDS, n[i].hash) || !is_child(im, n[i].child, i, i) ||
		    !is_child(im, n[i].plus, i, i) || !is_child(im, n[i].place, i, i) ||
		    !is_one_of(im, ACL_PART_RULES, n[i].min_deny))
			return false;
		if (up == ACL_NONE
			? n[i].next != ACL_NONE || n[i].next_place != ACL_NONE
			: !is_child(im, n[i].next, up, i) || !is_child(im, n[i].next_place, up, i))
			return false;
	}
	if ((edges & (edges - 1)) != 0)
		return false;
	for (uint32_t i = 0; i < edges; i++)
		if (!is_one_of(im, ACL_PART_NODES, edge[i]))
			return false;
	return true;
}

static bool
subjects_are_valid(const struct acl_image *im)
{
	const struct acl_pattern_rec *p = acl_part(im, ACL_PART_PATTERNS);

	for (unsigned k = ACL_PART_SUBJECTS; k <= ACL_PART_MEMBERS; k++) {
		const struct acl_subject_rec *s = acl_part(im, k);

		for (uint32_t i = 0; i < acl_count(im, k); i++)
			if (!has_text(im, s[i].text) || s[i].kind >= ACL_SUBJECTS ||
			    s[i].root >= acl_count(im, ACL_PART_ROOTS))
				return false;
	}
	for (uint32_t i = 0; i < acl_count(im, ACL_PART_PATTERNS); i++)
		if (p[i].kind >= ACL_SUBJECTS || p[i].regex >= acl_count(im, ACL_PART_REGEXES) ||
		    p[i].root >= acl_count(im, ACL_PART_ROOTS))
			return false;
	return true;
}

static int
compile(struct acl_image *im)
{
	const struct acl_text *t = acl_part(im, ACL_PART_REGEXES);
	uint32_t n = acl_count(im, ACL_PART_REGEXES);
	char why[256];

	if (n == 0)
		return 0;
	im->regex = calloc(n, sizeof(im->regex[0]));
	if (im->regex == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		im->regex[i] = regex_new(acl_text_of(im, t[i]), why);
		if (im->regex[i] == NULL)
			return -EPROTO;
	}
	return 0;
}
