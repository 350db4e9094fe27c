/*
 * image.h - the layout of compiled rules, for the modules of this folder
 *
 * All references are numbers of elements, ACL_NONE where there is none. A node's number is above its parent's, and a sibling's above that
 * of the one before it: so whoever follows them comes to an end, which acl_image_new() checks before anybody does.
 */
#ifndef ACL_IMAGE_H
#define ACL_IMAGE_H

#include "shared/acl/acl.h"
#include "shared/base/hash.h"
#include "shared/base/regex.h"

#define ACL_MAGIC UINT64_C(0x31306c6361716d74)
#define ACL_ABI 1u

#define ACL_ANY_FILTER 1u /* flags: every subscription is accepted, messages decide */
#define ACL_USES_CERT 2u  /* some rule is about certificates, or has %{cn} */

/* Bytes that UTF-8 doesn't have stand for placeholders in the texts of levels. An attribute's name stands between two of its. */
enum { ACL_P_ATTRIBUTE = 0xfc, ACL_P_CERT, ACL_P_USER, ACL_P_CLIENT };

#define ACL_MASK(action) (1u << (action))

enum acl_subject {
	ACL_ALL,
	ACL_ANONYMOUS,
	ACL_USER,
	ACL_CLIENT,
	ACL_CERT,
	ACL_GROUP,
	ACL_SUBJECTS
};

enum acl_part_kind {
	ACL_PART_RULES,
	ACL_PART_ROOTS,
	ACL_PART_NODES,
	ACL_PART_ENDS,
	ACL_PART_EDGES,    /* node by parent and text; a power of two */
	ACL_PART_SUBJECTS, /* by kind and text: sorted */
	ACL_PART_MEMBERS,  /* likewise */
	ACL_PART_PATTERNS, /* subjects and members that are regular expressions */
	ACL_PART_REGEXES,
	ACL_PART_TRIED, /* rules with a regular expression for a topic: each root's in a row */
	ACL_PART_TEXT,
	ACL_PARTS
};

struct acl_text {
	uint32_t off, len;
};

struct acl_head {
	uint64_t magic;
	uint32_t abi, size, flags, spare;
	struct acl_text name;
	struct acl_part {
		uint32_t off, n;
	} part[ACL_PARTS];
};

struct acl_rule_rec {
	struct acl_text text;
	uint32_t line, regex; /* regex: of its topic */
	uint8_t allow, actions, spare[2];
};

struct acl_root_rec {
	uint32_t node[2]; /* topics that begin with '$' are in the second */
	uint32_t tried, ntried;
};

enum acl_node_kind { ACL_NODE_ROOT, ACL_NODE_WORD, ACL_NODE_PLUS, ACL_NODE_PLACE };

struct acl_node {
	struct acl_text text;
	uint32_t parent, child, next; /* all children are one list */
	uint32_t plus, place;         /* of them: '+'; the first with placeholders, */
	uint32_t next_place;          /* and the next one */
	uint32_t end, hash;           /* rules that end here, and here with '#' */
	uint32_t min_deny;            /* of those from here on: the first that denies to receive */
	uint8_t kind, spare[3];
};

struct acl_end {                       /* the first rule for each */
	uint32_t rule[2][ACL_ACTIONS]; /* [allow] */
};

struct acl_subject_rec { /* of a member: the root is its group's */
	struct acl_text text;
	uint32_t kind, root;
};

struct acl_pattern_rec {
	uint32_t kind, regex, root;
	uint32_t
	    is_member; /* the root is a group's, and about those whom the group's rules are for */
};

struct acl_image {
	const uint8_t *p;
	const struct acl_head *head;
	size_t mapped; /* bytes to be unmapped; 0: they are the caller's */
	struct regex **regex;
};

extern const uint32_t acl_size_of[ACL_PARTS]; /* bytes of an element */

static inline const void *
acl_part(const struct acl_image *im, enum acl_part_kind k)
{
	return im->p + im->head->part[k].off;
}

static inline uint32_t
acl_count(const struct acl_image *im, enum acl_part_kind k)
{
	return im->head->part[k].n;
}

static inline struct span
acl_text_of(const struct acl_image *im, struct acl_text t)
{
	return span_of((const uint8_t *)acl_part(im, ACL_PART_TEXT) + t.off, t.len);
}

/* Not keyed, and quick: the texts in the tables are the administrator's, and whoever looks for others finds the end of a chain as soon. */
static inline uint64_t
acl_text_hash(struct span s)
{
	uint64_t h = s.len * UINT64_C(0x9e3779b97f4a7c15), word;

	for (; s.len >= sizeof(word); s = span_of(s.p + sizeof(word), s.len - sizeof(word))) {
		memcpy(&word, s.p, sizeof(word));
		h = hash_mix(h ^ word);
	}
	word = 0;
	if (s.len > 0)
		memcpy(&word, s.p, s.len);
	return hash_mix(h ^ word);
}

static inline uint64_t
acl_edge_hash(uint32_t parent, uint64_t level)
{
	return hash_mix(level + parent * UINT64_C(0x9e3779b97f4a7c15));
}

#endif
