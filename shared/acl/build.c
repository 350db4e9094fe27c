#include "shared/acl/build.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/htab.h"
#include "shared/base/must.h"
#include "shared/mem/arena.h"
#include "shared/mqtt/topic.h"

#define TEXT_MAX (1u << 30)

/* One part of the image while it grows. */
struct grown {
	uint8_t *p;
	uint32_t n, cap;
};

/* What is found again by kind and text: subjects, regular expressions. */
struct known {
	uint64_t hash;
	uint32_t kind, number, root;
	bool is_regex;
	struct span text;
};

#define KNOWN_REGEX ACL_SUBJECTS /* kind of a regular expression; number: its place */

struct sketch {
	uint64_t hash;             /* of its text */
	uint32_t last, last_place; /* of its children */
};

struct tried {
	uint32_t root, rule;
};

struct acl_build {
	uint32_t flags;
	struct acl_text name;
	struct grown part[ACL_PARTS];
	struct grown sketch; /* struct sketch, of each node */
	struct grown tried;  /* struct tried */
	struct htab known;
	struct arena arena;
	uint32_t edges; /* in use */
};

static int add_filter(struct acl_build *b, uint32_t root, uint32_t rule, struct span filter);
static int build_finish(struct acl_build *b, void **out, size_t *len_out);

/* --- growing ----------------------------------------------------------------------------- */

/* Room for n more elements, zeroed; NULL: no memory. */
static void *
grow(struct grown *g, uint32_t size, uint32_t n)
{
	uint8_t *at;

	if (n > TEXT_MAX - g->n)
		return NULL;
	if (g->n + n > g->cap) {
		uint32_t cap = g->cap > 0 ? g->cap : 64;
		uint8_t *p;

		while (cap < g->n + n)
			cap *= 2;
		p = realloc(g->p, (size_t)cap * size);
		if (p == NULL)
			return NULL;
		g->p = p;
		g->cap = cap;
	}
	at = g->p + (size_t)g->n * size;
	if (n > 0)
		memset(at, 0, (size_t)n * size);
	g->n += n;
	return at;
}

static void *
add(struct acl_build *b, enum acl_part_kind k)
{
	return grow(&b->part[k], acl_size_of[k], 1);
}

static void *
at(const struct acl_build *b, enum acl_part_kind k, uint32_t i)
{
	return b->part[k].p + (size_t)i * acl_size_of[k];
}

static int
add_text(struct acl_build *b, struct span s, struct acl_text *out)
{
	uint32_t off = b->part[ACL_PART_TEXT].n;
	uint8_t *p = grow(&b->part[ACL_PART_TEXT], 1, (uint32_t)s.len);

	if (p == NULL)
		return -ENOMEM;
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	*out = (struct acl_text){ off, (uint32_t)s.len };
	return 0;
}

/* --- subjects and regular expressions ---------------------------------------------------- */

static uint64_t
known_hash(const void *entry)
{
	return ((const struct known *)entry)->hash;
}

static bool
known_eq(const void *entry, const void *key)
{
	const struct known *a = entry, *k = key;

	return a->kind == k->kind && a->is_regex == k->is_regex && span_eq(a->text, k->text);
}

/* Found, or made: then its number is ACL_NONE. NULL: no memory. */
static struct known *
know(struct acl_build *b, uint32_t kind, bool is_regex, struct span text)
{
	struct known key = { .kind = kind,
		.is_regex = is_regex,
		.text = text,
		.number = ACL_NONE,
		.root = ACL_NONE,
		.hash = hash_mix(acl_text_hash(text) + kind * 2 + is_regex) };
	struct known *k = htab_find(&b->known, key.hash, known_eq, &key);

	if (k != NULL)
		return k;
	k = arena_alloc(&b->arena, sizeof(*k));
	if (k == NULL)
		return NULL;
	key.text.p = arena_dup(&b->arena, text);
	*k = key;
	return key.text.p != NULL && htab_add(&b->known, k->hash, k) == 0 ? k : NULL;
}

static int
regex_of(struct acl_reading *r, struct span pattern, uint32_t *out)
{
	struct acl_build *b = r->build;
	struct known *k = know(b, KNOWN_REGEX, true, pattern);
	struct acl_text *t;
	struct regex *re;
	char why[256];

	if (k == NULL)
		return -ENOMEM;
	if (k->number != ACL_NONE) {
		*out = k->number;
		return 0;
	}
	if (b->part[ACL_PART_REGEXES].n == ACL_REGEXES_MAX)
		return acl_say(r, "more than %u regular expressions", ACL_REGEXES_MAX);
	re = regex_new(pattern, why);
	if (re == NULL)
		return acl_say(r, "\"%.*s\" is %s", (int)(pattern.len < 100 ? pattern.len : 100),
		    (const char *)pattern.p, why);
	regex_free(re);
	t = add(b, ACL_PART_REGEXES);
	if (t == NULL || add_text(b, pattern, t) != 0)
		return -ENOMEM;
	*out = k->number = b->part[ACL_PART_REGEXES].n - 1;
	return 0;
}

static int
root_new(struct acl_build *b, uint32_t *out)
{
	struct acl_root_rec *root = add(b, ACL_PART_ROOTS);

	if (root == NULL)
		return -ENOMEM;
	*root = (struct acl_root_rec){ .node = { ACL_NONE, ACL_NONE } };
	*out = b->part[ACL_PART_ROOTS].n - 1;
	return 0;
}

static int
pattern_new(struct acl_reading *r, struct span text, struct acl_pattern_rec p)
{
	struct acl_pattern_rec *rec;
	int err = regex_of(r, text, &p.regex);

	if (err != 0)
		return err;
	rec = add(r->build, ACL_PART_PATTERNS);
	if (rec == NULL)
		return -ENOMEM;
	*rec = p;
	return 0;
}

/* Its root and, of a name, its number among the subjects as they come: they are sorted in the end. */
static int
subject_of(struct acl_reading *r, const struct acl_name *who, struct known **out)
{
	struct acl_build *b = r->build;
	struct known *k = know(b, who->kind, who->is_regex, who->text);
	struct acl_subject_rec *s;
	int err;

	if (k == NULL)
		return -ENOMEM;
	*out = k;
	if (k->root != ACL_NONE)
		return 0;
	err = root_new(b, &k->root);
	if (err != 0)
		return err;
	if (who->is_regex)
		return pattern_new(
		    r, who->text, (struct acl_pattern_rec){ who->kind, 0, k->root, ACL_NONE });
	s = add(b, ACL_PART_SUBJECTS);
	if (s == NULL)
		return -ENOMEM;
	*s = (struct acl_subject_rec){ .kind = who->kind, .root = k->root };
	k->number = b->part[ACL_PART_SUBJECTS].n - 1;
	return add_text(
	    b, who->text, &((struct acl_subject_rec *)at(b, ACL_PART_SUBJECTS, k->number))->text);
}

/* --- what parsers call ------------------------------------------------------------------- */

int
acl_build_rule(struct acl_reading *r, const struct acl_new_rule *n)
{
	struct acl_build *b = r->build;
	struct acl_rule_rec *rule;
	struct acl_text text;
	struct known *who;
	uint32_t number = b->part[ACL_PART_RULES].n, regex = ACL_NONE;
	struct tried *tried;
	int err = subject_of(r, &n->who, &who);

	if (err == 0 && number == ACL_RULES_MAX)
		err = acl_say(r, "more than %u rules", ACL_RULES_MAX);
	if (err == 0 && n->topic_is_regex)
		err = regex_of(r, n->topic, &regex);
	if (err == 0)
		err = add_text(b, n->text, &text);
	if (err != 0)
		return err;
	if (n->who.kind == ACL_CERT ||
	    (!n->topic_is_regex && memchr(n->topic.p, ACL_P_CERT, n->topic.len) != NULL))
		b->flags |= ACL_USES_CERT;
	rule = add(b, ACL_PART_RULES);
	if (rule == NULL)
		return -ENOMEM;
	*rule = (struct acl_rule_rec){ .text = text,
		.line = n->line,
		.regex = regex,
		.allow = n->allow,
		.actions = n->actions };
	if (!n->topic_is_regex)
		return add_filter(b, who->root, number, n->topic);
	tried = grow(&b->tried, sizeof(*tried), 1);
	if (tried == NULL)
		return -ENOMEM;
	*tried = (struct tried){ who->root, number };
	return 0;
}

int
acl_build_member(struct acl_reading *r, struct span group, const struct acl_name *who)
{
	struct acl_build *b = r->build;
	struct acl_name name = { .kind = ACL_GROUP, .text = group };
	struct acl_subject_rec *m;
	struct known *k;
	int err = subject_of(r, &name, &k);

	if (err != 0)
		return err;
	if (who->kind == ACL_CERT)
		b->flags |= ACL_USES_CERT;
	if (who->is_regex)
		return pattern_new(
		    r, who->text, (struct acl_pattern_rec){ who->kind, 0, k->root, true });
	m = add(b, ACL_PART_MEMBERS);
	if (m == NULL)
		return -ENOMEM;
	*m = (struct acl_subject_rec){ .kind = who->kind, .root = k->root };
	return add_text(b, who->text, &m->text);
}

void
acl_build_flag(struct acl_build *b, uint32_t flag)
{
	b->flags |= flag;
}

/* --- tries ------------------------------------------------------------------------------- */

static struct acl_node *
node_at(const struct acl_build *b, uint32_t i)
{
	return at(b, ACL_PART_NODES, i);
}

static struct sketch *
sketch_at(const struct acl_build *b, uint32_t i)
{
	return (struct sketch *)(void *)b->sketch.p + i;
}

static uint64_t
edge_hash(const struct acl_build *b, uint32_t node)
{
	return acl_edge_hash(node_at(b, node)->parent, sketch_at(b, node)->hash);
}

static void
edge_put(uint32_t *slot, uint32_t cap, uint64_t hash, uint32_t node)
{
	uint32_t i = (uint32_t)hash & (cap - 1);

	while (slot[i] != ACL_NONE)
		i = (i + 1) & (cap - 1);
	slot[i] = node;
}

/* At most half of the slots are in use. */
static int
edge_add(struct acl_build *b, uint32_t node)
{
	struct grown *g = &b->part[ACL_PART_EDGES];

	if (b->edges * 2 >= g->n) {
		uint32_t cap = g->n > 0 ? g->n * 2 : 64,
			 *slot = malloc((size_t)cap * sizeof(*slot));

		if (slot == NULL)
			return -ENOMEM;
		memset(slot, 0xff, (size_t)cap * sizeof(*slot));
		for (uint32_t i = 0; i < g->n; i++) {
			uint32_t n = *(uint32_t *)at(b, ACL_PART_EDGES, i);

			if (n != ACL_NONE)
				edge_put(slot, cap, edge_hash(b, n), n);
		}
		free(g->p);
		*g = (struct grown){ (uint8_t *)slot, cap, cap };
	}
	edge_put((uint32_t *)(void *)g->p, g->n, edge_hash(b, node), node);
	b->edges++;
	return 0;
}

static uint32_t
edge_find(const struct acl_build *b, uint32_t parent, struct span level, uint64_t hash)
{
	const struct grown *g = &b->part[ACL_PART_EDGES];
	uint32_t i = (uint32_t)acl_edge_hash(parent, hash);

	for (; g->n > 0; i++) {
		uint32_t n = *(uint32_t *)at(b, ACL_PART_EDGES, i & (g->n - 1));
		const struct acl_node *node;

		if (n == ACL_NONE)
			break;
		node = node_at(b, n);
		if (node->parent == parent &&
		    span_eq(
			level, span_of(b->part[ACL_PART_TEXT].p + node->text.off, node->text.len)))
			return n;
	}
	return ACL_NONE;
}

static enum acl_node_kind
kind_of(struct span level)
{
	if (level.len == 1 && level.p[0] == '+')
		return ACL_NODE_PLUS;
	for (size_t i = 0; i < level.len; i++)
		if (level.p[i] >= ACL_P_ATTRIBUTE)
			return ACL_NODE_PLACE;
	return ACL_NODE_WORD;
}

static int
node_new(struct acl_build *b, uint32_t parent, struct span level, uint64_t hash, uint32_t *out)
{
	struct acl_node *n = add(b, ACL_PART_NODES), *up;
	struct sketch *s = grow(&b->sketch, sizeof(*s), 1), *ups;
	uint32_t number = b->part[ACL_PART_NODES].n - 1;

	if (n == NULL || s == NULL)
		return -ENOMEM;
	*s = (struct sketch){ hash, ACL_NONE, ACL_NONE };
	*n = (struct acl_node){ .parent = parent,
		.child = ACL_NONE,
		.next = ACL_NONE,
		.plus = ACL_NONE,
		.place = ACL_NONE,
		.next_place = ACL_NONE,
		.end = ACL_NONE,
		.hash = ACL_NONE,
		.min_deny = ACL_NONE };
	*out = number;
	if (parent == ACL_NONE)
		return 0;
	n->kind = (uint8_t)kind_of(level);
	if (add_text(b, level, &n->text) != 0)
		return -ENOMEM;
	up = node_at(b, parent);
	ups = sketch_at(b, parent);
	if (up->child == ACL_NONE)
		up->child = number;
	else
		node_at(b, ups->last)->next = number;
	ups->last = number;
	if (n->kind == ACL_NODE_PLUS)
		up->plus = number;
	if (n->kind == ACL_NODE_PLACE) {
		if (up->place == ACL_NONE)
			up->place = number;
		else
			node_at(b, ups->last_place)->next_place = number;
		ups->last_place = number;
	}
	return edge_add(b, number);
}

static int
end_rule(struct acl_build *b, uint32_t *end, uint32_t number)
{
	const struct acl_rule_rec *rule = at(b, ACL_PART_RULES, number);
	struct acl_end *e;

	if (*end == ACL_NONE) {
		e = add(b, ACL_PART_ENDS);
		if (e == NULL)
			return -ENOMEM;
		memset(e, 0xff, sizeof(*e));
		*end = b->part[ACL_PART_ENDS].n - 1;
	}
	e = at(b, ACL_PART_ENDS, *end);
	for (unsigned a = 0; a < ACL_ACTIONS; a++)
		if ((rule->actions & ACL_MASK(a)) && e->rule[rule->allow][a] == ACL_NONE)
			e->rule[rule->allow][a] = number;
	return 0;
}

/* The filter is valid, or would be with any text for its placeholders. */
static int
add_filter(struct acl_build *b, uint32_t root, uint32_t rule, struct span filter)
{
	struct acl_root_rec *rec = at(b, ACL_PART_ROOTS, root);
	bool dollar = filter.p[0] == '$';
	uint32_t node = rec->node[dollar];
	struct span level;
	size_t pos = 0;
	int err = 0;

	if (node == ACL_NONE) {
		err = node_new(b, ACL_NONE, span_of(NULL, 0), 0, &node);
		rec->node[dollar] = err == 0 ? node : ACL_NONE;
	}
	while (err == 0 && topic_next_level(filter, &pos, &level)) {
		uint64_t hash = acl_text_hash(level);
		uint32_t next;

		if (level.len == 1 && level.p[0] == '#')
			return end_rule(b, &node_at(b, node)->hash, rule);
		next = edge_find(b, node, level, hash);
		if (next == ACL_NONE)
			err = node_new(b, node, level, hash, &next);
		node = next;
	}
	return err != 0 ? err : end_rule(b, &node_at(b, node)->end, rule);
}

/* --- the image --------------------------------------------------------------------------- */

static uint32_t
deny_of(const struct acl_build *b, uint32_t end)
{
	return end == ACL_NONE
	    ? ACL_NONE
	    : ((struct acl_end *)at(b, ACL_PART_ENDS, end))->rule[false][ACL_RECEIVE];
}

static uint32_t
lower(uint32_t x, uint32_t y)
{
	return x < y ? x : y;
}

/* Children come after their parents: from the end on each is finished before it is told to its parent. */
static void
sum_up(struct acl_build *b)
{
	for (uint32_t i = b->part[ACL_PART_NODES].n; i-- > 0;) {
		struct acl_node *n = node_at(b, i);

		n->min_deny = lower(n->min_deny, lower(deny_of(b, n->end), deny_of(b, n->hash)));
		if (n->parent != ACL_NONE) {
			struct acl_node *up = node_at(b, n->parent);

			up->min_deny = lower(up->min_deny, n->min_deny);
		}
	}
}

static int
tried_cmp(const void *a, const void *b)
{
	const struct tried *x = a, *y = b;

	return x->root != y->root ? (x->root > y->root) - (x->root < y->root)
				  : (x->rule > y->rule) - (x->rule < y->rule);
}

static int
close_tried(struct acl_build *b)
{
	struct tried *t = (struct tried *)(void *)b->tried.p;
	uint32_t *rule = grow(&b->part[ACL_PART_TRIED], sizeof(*rule), b->tried.n);

	if (b->tried.n == 0)
		return 0;
	if (rule == NULL)
		return -ENOMEM;
	qsort(t, b->tried.n, sizeof(*t), tried_cmp);
	for (uint32_t i = 0; i < b->tried.n; i++) {
		struct acl_root_rec *root = at(b, ACL_PART_ROOTS, t[i].root);

		rule[i] = t[i].rule;
		if (root->ntried++ == 0)
			root->tried = i;
	}
	return 0;
}

static int
subject_cmp(const void *a, const void *b, void *text)
{
	const struct acl_subject_rec *x = a, *y = b;

	if (x->kind != y->kind)
		return (x->kind > y->kind) - (x->kind < y->kind);
	return span_cmp(span_of((const uint8_t *)text + x->text.off, x->text.len),
	    span_of((const uint8_t *)text + y->text.off, y->text.len));
}

static size_t
aligned(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static int
build_finish(struct acl_build *b, void **out, size_t *len_out)
{
	struct acl_head head = {
		.magic = ACL_MAGIC, .abi = ACL_ABI, .flags = b->flags, .name = b->name
	};
	size_t len = aligned(sizeof(head));
	uint8_t *p;

	if (close_tried(b) != 0)
		return -ENOMEM;
	sum_up(b);
	for (unsigned k = ACL_PART_SUBJECTS; k <= ACL_PART_MEMBERS; k++)
		if (b->part[k].n > 0)
			qsort_r(b->part[k].p, b->part[k].n, acl_size_of[k], subject_cmp,
			    b->part[ACL_PART_TEXT].p);
	for (unsigned k = 0; k < ACL_PARTS; k++) {
		head.part[k] = (struct acl_part){ (uint32_t)len, b->part[k].n };
		len += aligned((size_t)b->part[k].n * acl_size_of[k]);
		if (len > UINT32_MAX)
			return -ENOMEM;
	}
	head.size = (uint32_t)len;
	p = calloc(1, len);
	if (p == NULL)
		return -ENOMEM;
	memcpy(p, &head, sizeof(head));
	for (unsigned k = 0; k < ACL_PARTS; k++)
		if (b->part[k].n > 0)
			memcpy(p + head.part[k].off, b->part[k].p,
			    (size_t)b->part[k].n * acl_size_of[k]);
	*out = p;
	*len_out = len;
	return 0;
}

static void
build_free(struct acl_build *b)
{
	for (unsigned k = 0; k < ACL_PARTS; k++)
		free(b->part[k].p);
	free(b->sketch.p);
	free(b->tried.p);
	htab_fini(&b->known);
	arena_fini(&b->arena);
}

int
acl_compile(FILE *in, const char *name, enum acl_format format, void **out, size_t *len_out,
    struct acl_error *err)
{
	struct acl_build b = { 0 };
	struct acl_reading r = { .in = in, .name = name, .build = &b, .err = err };
	int bad;

	htab_init(&b.known, known_hash);
	arena_init(&b.arena, 65536);
	bad = add_text(&b, span_str(name), &b.name);
	if (bad == 0)
		bad = format == ACL_MOSQUITTO ? acl_parse_mosquitto(&r) : acl_parse_tbmq(&r);
	if (bad == 0)
		bad = build_finish(&b, out, len_out);
	if (bad == -ENOMEM)
		snprintf(err->text, sizeof(err->text), "%.300s: no memory for the rules", name);
	free(r.text);
	build_free(&b);
	return bad;
}
