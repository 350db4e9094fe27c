#include "shared/acl/bind.h"
#include "shared/base/must.h"
#include "shared/mqtt/topic.h"

/* Children of '+' in a filter that are looked at for rules that deny a part of it: beyond, one is taken for granted. */
#define OVERLAP_MAX 4096

/* Rules of several images in one order. */
#define PLACE(image, rule) ((uint64_t)(image) << 32 | (rule))
#define NOWHERE UINT64_MAX
#define AT_LAST (UINT64_MAX - 1) /* the default's place */

struct level {
	struct span text;
	uint64_t hash;
};

/* What is asked, taken apart. */
struct asked {
	const struct acl_bound *bound;
	const struct acl_who *who;
	enum acl_action action;
	struct span topic;
	bool is_filter, dollar;
	bool has_wildcard, has_hash; /* of a filter; '#' is none of the levels */
	unsigned levels; /* those beyond ACL_LEVELS are left out: only '#' can be about them */
	struct level level[ACL_LEVELS + 1];
};

/* A root's trie on the way through it. */
struct walk {
	const struct acl_image *im;
	const struct acl_node *node;
	const struct asked *a;
	bool deny_only;
	uint32_t best[2]; /* [allow]: the first rule */
	unsigned left;    /* nodes that may still be looked at */
};

static unsigned errors;

static void ask(struct asked *a, const struct acl_bound *b, const struct acl_who *who,
    enum acl_action action, struct span topic);
static struct acl_verdict decide_topic(const struct asked *a);
static struct acl_verdict decide_filter(struct asked *a);

struct acl_verdict
acl_decide(
    const struct acl_bound *b, const struct acl_who *who, enum acl_action action, struct span topic)
{
	struct asked a;

	ask(&a, b, who, action, topic);
	return action == ACL_SUBSCRIBE ? decide_filter(&a) : decide_topic(&a);
}

unsigned
acl_errors(void)
{
	unsigned n = errors;

	errors = 0;
	return n;
}

void
acl_gave_up(void)
{
	errors++;
}

static void
ask(struct asked *a, const struct acl_bound *b, const struct acl_who *who, enum acl_action action,
    struct span topic)
{
	struct span level;
	size_t at = 0;

	a->bound = b;
	a->who = who;
	a->action = action;
	a->topic = topic;
	a->is_filter = action == ACL_SUBSCRIBE;
	a->dollar = topic.len > 0 && topic.p[0] == '$';
	a->has_wildcard = a->is_filter && filter_has_wildcard(topic);
	a->has_hash = false;
	a->levels = 0;
	while (a->levels <= ACL_LEVELS && topic_next_level(topic, &at, &level)) {
		if (a->is_filter && level.len == 1 && level.p[0] == '#') {
			a->has_hash = true;
			break;
		}
		a->level[a->levels++] = (struct level){ level, acl_text_hash(level) };
	}
}

/* --- one level --------------------------------------------------------------------------- */

static bool
is_plus(const struct level *l)
{
	return l->text.len == 1 && l->text.p[0] == '+';
}

static uint32_t
edge_find(const struct walk *w, uint32_t parent, const struct level *l)
{
	const uint32_t *edge = acl_part(w->im, ACL_PART_EDGES);
	uint32_t n = acl_count(w->im, ACL_PART_EDGES);
	uint32_t at = (uint32_t)acl_edge_hash(parent, l->hash);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t e = edge[(at + i) & (n - 1)];

		if (e == ACL_NONE)
			break;
		if (w->node[e].parent == parent && w->node[e].kind == ACL_NODE_WORD &&
		    span_eq(acl_text_of(w->im, w->node[e].text), l->text))
			return e;
	}
	return ACL_NONE;
}

/*
 * A client chooses its value: it is one level, or a part of one, and nothing else. At the beginning of a topic it does not get at those that
 * begin with '$'.
 */
static struct span
value_of(const struct walk *w, struct span placeholder, bool begins_topic)
{
	const struct acl_who *who = w->a->who;
	struct span v = span_of(NULL, 0);

	switch (placeholder.p[0]) {
	case ACL_P_CLIENT:
		v = who->client;
		break;
	case ACL_P_USER:
		v = who->user;
		break;
	case ACL_P_CERT:
		v = w->a->bound->cert;
		break;
	default:
		if (who->attribute != NULL && placeholder.len > 2)
			v = who->attribute(
			    who->arg, span_of(placeholder.p + 1, placeholder.len - 2));
	}

	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] == '/' || v.p[i] == '+' || v.p[i] == '#' || v.p[i] == '\0')
			return span_of(NULL, 0);
	return begins_topic && v.len > 0 && v.p[0] == '$' ? span_of(NULL, 0) : v;
}

/* Of the one that it begins with. */
static size_t
placeholder_len(struct span s)
{
	const uint8_t *end =
	    s.p[0] == ACL_P_ATTRIBUTE ? memchr(s.p + 1, ACL_P_ATTRIBUTE, s.len - 1) : NULL;

	return end != NULL ? (size_t)(end - s.p) + 1 : 1;
}

/* Is the level what the text with placeholders is for this client? level NULL: could it be any? */
static bool
place_is(const struct walk *w, const struct acl_node *n, const struct level *level)
{
	struct span text = acl_text_of(w->im, n->text), rest;
	bool first = w->node[n->parent].kind == ACL_NODE_ROOT;

	rest = level != NULL ? level->text : span_of(NULL, 0);
	for (size_t i = 0; i < text.len; i++) {
		struct span part = span_of(text.p + i, 1);

		if (text.p[i] >= ACL_P_ATTRIBUTE) {
			size_t len = placeholder_len(span_of(text.p + i, text.len - i));

			part = value_of(w, span_of(text.p + i, len), first && i == 0);
			if (part.len == 0)
				return false;
			i += len - 1;
		}
		if (level == NULL)
			continue;
		if (part.len > rest.len || memcmp(part.p, rest.p, part.len) != 0)
			return false;
		rest = span_of(rest.p + part.len, rest.len - part.len);
	}
	return rest.len == 0;
}

static void
take(struct walk *w, uint32_t end, enum acl_action action)
{
	const struct acl_end *e = acl_part(w->im, ACL_PART_ENDS);

	unsigned effects = w->deny_only ? 1 : 2;

	for (unsigned allow = 0; end != ACL_NONE && allow < effects; allow++)
		if (e[end].rule[allow][action] < w->best[allow])
			w->best[allow] = e[end].rule[allow][action];
}

/* --- the walks --------------------------------------------------------------------------- */

/* All rules that match the topic, or cover all of the filter, from this node on. */
static void
match(struct walk *w, uint32_t at, unsigned i, enum acl_action action)
{
	const struct acl_node *n = &w->node[at];
	const struct level *l;
	uint32_t next;

	take(w, n->hash, action);
	if (i == w->a->levels) {
		if (!w->a->has_hash)
			take(w, n->end, action);
		else if (i == 0 && n->plus != ACL_NONE) /* "+/#" is as much as "#" */
			take(w, w->node[n->plus].hash, action);
		return;
	}
	if (i == ACL_LEVELS)
		return;
	l = &w->a->level[i];
	if (n->plus != ACL_NONE)
		match(w, n->plus, i + 1, action);
	if (w->a->is_filter && is_plus(l))
		return;
	next = edge_find(w, at, l);
	if (next != ACL_NONE)
		match(w, next, i + 1, action);
	for (next = n->place; next != ACL_NONE; next = w->node[next].next_place)
		if (place_is(w, &w->node[next], l))
			match(w, next, i + 1, action);
}

/* The first rule that denies to receive some of the filter. */
static void
overlap(struct walk *w, uint32_t at, unsigned i)
{
	const struct acl_node *n = &w->node[at], *c;
	const struct level *l;

	if (n->min_deny >= w->best[false])
		return;
	take(w, n->hash, ACL_RECEIVE);
	if (i == w->a->levels) {
		if (!w->a->has_hash)
			take(w, n->end, ACL_RECEIVE);
		else
			w->best[false] = n->min_deny;
		return;
	}
	if (i == ACL_LEVELS)
		return;
	if (w->left == 0) {
		w->best[false] = n->min_deny;
		return;
	}
	w->left--;
	l = &w->a->level[i];
	if (!is_plus(l)) {
		uint32_t next = edge_find(w, at, l);

		if (next != ACL_NONE)
			overlap(w, next, i + 1);
		if (n->plus != ACL_NONE)
			overlap(w, n->plus, i + 1);
		for (next = n->place; next != ACL_NONE; next = w->node[next].next_place)
			if (place_is(w, &w->node[next], l))
				overlap(w, next, i + 1);
		return;
	}
	for (uint32_t next = n->child; next != ACL_NONE; next = c->next) {
		c = &w->node[next];
		if (c->kind != ACL_NODE_PLACE || place_is(w, c, NULL))
			overlap(w, next, i + 1);
		if (w->left == 0) {
			if (n->min_deny < w->best[false])
				w->best[false] = n->min_deny;
			return;
		}
		w->left--;
	}
}

/* Does the regular expression of the rule match? Of one that gives up what denies does. */
static bool
is_tried(const struct walk *w, const struct acl_rule_rec *r)
{
	int n = regex_find(w->im->regex[r->regex], w->a->topic);

	if (n < 0)
		acl_gave_up();
	return n > 0 || (n < 0 && !r->allow);
}

/*
 * Of the root's regular expressions, in order: the first that matches, if it is before what is found. parts: a filter's wildcards stand for
 * topics that nobody knows, so any that denies may be about some of them.
 */
static void
try(struct walk *w, const struct acl_root_rec *root, enum acl_action action, bool parts)
{
	const struct acl_rule_rec *rule = acl_part(w->im, ACL_PART_RULES);
	const uint32_t *tried = (const uint32_t *)acl_part(w->im, ACL_PART_TRIED) + root->tried;

	for (uint32_t i = 0; i < root->ntried; i++) {
		const struct acl_rule_rec *r = &rule[tried[i]];

		if (tried[i] >= w->best[false] || (!parts && tried[i] >= w->best[true]))
			return;
		if (!(r->actions & ACL_MASK(action)) || (r->allow && (w->deny_only || parts)))
			continue;
		if ((parts && w->a->has_wildcard) || is_tried(w, r)) {
			w->best[r->allow] = tried[i];
			return;
		}
	}
}

static struct walk
walk_of(const struct asked *a, const struct acl_ref *ref)
{
	const struct acl_image *im = a->bound->set->image[ref->image];

	return (struct walk){ .im = im,
		.node = acl_part(im, ACL_PART_NODES),
		.a = a,
		.deny_only = ref->deny_only,
		.best = { ACL_NONE, ACL_NONE },
		.left = OVERLAP_MAX };
}

static const struct acl_root_rec *
root_of(const struct walk *w, const struct acl_ref *ref)
{
	return (const struct acl_root_rec *)acl_part(w->im, ACL_PART_ROOTS) + ref->root;
}

/* --- topics ------------------------------------------------------------------------------ */

static uint32_t
lower(uint32_t x, uint32_t y)
{
	return x < y ? x : y;
}

static struct acl_verdict
decide_topic(const struct asked *a)
{
	uint32_t best[2] = { ACL_NONE, ACL_NONE };
	const struct acl_bound *b = a->bound;
	unsigned image = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct acl_ref *ref = &b->ref[i];
		struct walk w = walk_of(a, ref);
		const struct acl_root_rec *root = root_of(&w, ref);

		/* What an image has decided its successor is not asked. */
		if (ref->image != image && (best[0] & best[1]) != ACL_NONE)
			break;
		image = ref->image;
		w.best[0] = best[0];
		w.best[1] = best[1];
		if (root->node[a->dollar] != ACL_NONE)
			match(&w, root->node[a->dollar], 0, a->action);
		try(&w, root, a->action, false);
		best[0] = w.best[0];
		best[1] = w.best[1];
	}
	if ((best[0] & best[1]) == ACL_NONE)
		return (struct acl_verdict){
			.allowed = b->set->allow, .rule = ACL_NONE, .because = ACL_NONE
		};
	return (struct acl_verdict){ .allowed = best[1] < best[0],
		.image = image,
		.rule = lower(best[0], best[1]),
		.because = ACL_NONE };
}

/* --- filters ----------------------------------------------------------------------------- */

/* The places of the first rules that cover it all; guessed: what allows is a regular expression, and there are wildcards. */
struct covered {
	uint64_t by[2]; /* [allow] */
	bool guessed;
};

static struct covered
cover(const struct asked *a, enum acl_action action)
{
	struct covered c = { { NOWHERE, NOWHERE }, false };

	for (uint32_t i = 0; i < a->bound->n; i++) {
		const struct acl_ref *ref = &a->bound->ref[i];
		struct walk w = walk_of(a, ref);
		const struct acl_root_rec *root = root_of(&w, ref);
		uint32_t sure;

		if (root->node[a->dollar] != ACL_NONE)
			match(&w, root->node[a->dollar], 0, action);
		sure = w.best[true];
		try(&w, root, action, false);
		for (unsigned allow = 0; allow < 2; allow++)
			if (w.best[allow] != ACL_NONE &&
			    PLACE(ref->image, w.best[allow]) < c.by[allow]) {
				c.by[allow] = PLACE(ref->image, w.best[allow]);
				if (allow)
					c.guessed = sure != w.best[true] && a->has_wildcard;
			}
	}
	return c;
}

/* The place of the first rule that denies some of it. */
static uint64_t
denied_part(const struct asked *a)
{
	uint64_t first = NOWHERE;

	for (uint32_t i = 0; i < a->bound->n; i++) {
		const struct acl_ref *ref = &a->bound->ref[i];
		struct walk w = walk_of(a, ref);
		const struct acl_root_rec *root = root_of(&w, ref);

		w.deny_only = true;
		if (root->node[a->dollar] != ACL_NONE)
			overlap(&w, root->node[a->dollar], 0);
		try(&w, root, ACL_RECEIVE, true);
		if (w.best[false] != ACL_NONE && PLACE(ref->image, w.best[false]) < first)
			first = PLACE(ref->image, w.best[false]);
	}
	return first;
}

static bool
any_filter(const struct acl_set *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->image[i]->head->flags & ACL_ANY_FILTER)
			return true;
	return false;
}

static struct acl_verdict
decide_filter(struct asked *a)
{
	const struct acl_set *set = a->bound->set;
	bool any = any_filter(set);
	struct covered c = cover(a, any ? ACL_RECEIVE : ACL_SUBSCRIBE);
	struct acl_verdict v = { .rule = ACL_NONE, .because = ACL_NONE };
	uint64_t decides, part;

	if (set->allow && c.by[true] == NOWHERE)
		c.by[true] = AT_LAST;
	v.allowed = any || c.by[true] < c.by[false];
	decides = v.allowed ? c.by[true] : c.by[false];
	if (decides < AT_LAST) {
		v.image = (unsigned)(decides >> 32);
		v.rule = (uint32_t)decides;
	}
	if (!v.allowed)
		return v;
	part = denied_part(a);
	v.checked = c.guessed || decides == NOWHERE || part < decides;
	if (part < decides) {
		v.because_image = (unsigned)(part >> 32);
		v.because = (uint32_t)part;
	}
	return v;
}
