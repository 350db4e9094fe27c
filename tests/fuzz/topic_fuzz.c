/*
 * Filters and a topic, separated by newlines; the last is the topic. The index, and a trie of them all, must find just those filters that match one by
 * one, and hashes of filters must be what their shapes make of the topic. In the end half of them go and the trie must still know the others.
 */
#include "shared/base/must.h"
#include "shared/mqtt/index.h"
#include "shared/mqtt/trie.h"

#define FILTERS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hash_key key = { { 1, 2 } };

static bool
next_line(struct span *rest, struct span *line)
{
	const uint8_t *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->p, '\n', rest->len);
	*line = span_of(rest->p, end != NULL ? (size_t)(end - rest->p) : rest->len);
	*rest = end != NULL ? span_of(end + 1, rest->len - line->len - 1) : span_of(NULL, 0);
	return true;
}

static void
hit(void *arg, uint64_t id)
{
	uint64_t *hits = arg;

	must((*hits >> id & 1) == 0);
	*hits |= UINT64_C(1) << id;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size), line, topic = span_of(NULL, 0),
		    none = span_of(NULL, 0);
	struct index_node *node[FILTERS], *found[FILTERS];
	struct index *x = index_new(&key);
	struct trie *trie = trie_new(&key);
	uint64_t hits = 0, rest_hits = 0;
	size_t n = 0, want = 0, got;
	struct topic_hash t;

	must(x != NULL && trie != NULL);
	while (next_line(&rest, &line)) {
		if (rest.len == 0) {
			topic = line;
			break;
		}
		if (n == FILTERS || line.len > UINT16_MAX || !utf8_is_valid(line) ||
		    !filter_is_valid(line) || index_find(x, line, none) != NULL)
			continue;
		node[n] = index_add(x, line, none, sizeof(*node[n]));
		must(node[n] != NULL && index_find(x, line, none) == node[n]);
		must(trie_add(trie, line, n) == 0);
		n++;
	}
	if (topic.len > 0 && utf8_is_valid(topic) && topic_is_valid(topic)) {
		topic_hash(&key, topic, &t);
		got = index_match(x, topic, &t, found, FILTERS);
		trie_match(trie, topic, &t, hit, &hits);
		for (size_t i = 0; i < n; i++) {
			struct shape s;
			uint64_t hash, first;
			bool is_found = false, matches = topic_match(index_filter(node[i]), topic);

			want += matches;
			for (size_t k = 0; k < got; k++)
				is_found |= found[k] == node[i];
			must(is_found == matches && (hits >> i & 1) == matches);
			if (matches && filter_hash(&key, index_filter(node[i]), &s, &hash, &first))
				must(shape_fits(s, &t) && shape_hash(s, &t) == hash &&
				    (first == 0 || first == t.first));
		}
		must(got == want);
	}
	for (size_t i = 0; i < n; i += 2)
		trie_del(trie, index_filter(node[i]));
	must(trie_nodes(trie) <= n / 2 * 2);
	if (hits != 0) {
		trie_match(trie, topic, &t, hit, &rest_hits);
		must(rest_hits == (hits & UINT64_C(0xaaaaaaaaaaaaaaaa)));
	}
	for (size_t i = 0; i < n; i++) {
		if (i % 2 == 1)
			trie_del(trie, index_filter(node[i]));
		index_del(x, &node[i]);
	}
	trie_free(trie);
	index_free(x);
	return 0;
}
