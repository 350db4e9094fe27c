#include "master/suspects.h"

#include <stdio.h>

#include "shared/mqtt/mqtt.h"

/* client "": whoever comes from there. */
static bool
is_about(const struct who *w, const struct who *it)
{
	return w->client[0] != '\0' ? who_eq(w, it) : strcmp(w->from, it->from) == 0;
}

static uint32_t
count_deaths(const struct suspects *t, const struct who *w, uint64_t now_ms, uint64_t time_ms)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < SUSPECT_DEATHS; i++)
		n += t->death[i].who.from[0] != '\0' && now_ms - t->death[i].at_ms < time_ms &&
		    is_about(w, &t->death[i].who);
	return n;
}

static void
take_out(struct suspects *t, unsigned i, struct suspect *out)
{
	*out = t->out[i];
	t->nout--;
	memmove(&t->out[i], &t->out[i + 1], (t->nout - i) * sizeof(t->out[0]));
}

static void
keep_out(struct suspects *t, const struct suspect *s)
{
	struct suspect gone;

	for (unsigned i = 0; i < t->nout; i++)
		if (who_eq(&t->out[i].who, &s->who)) {
			take_out(t, i, &gone);
			break;
		}
	if (t->nout == QUARANTINE_CLIENTS)
		take_out(t, 0, &gone);
	t->out[t->nout++] = *s;
}

unsigned
suspects_died(struct suspects *t, const struct who *who, uint8_t packet, uint32_t limit,
    uint64_t now_ms, uint64_t time_ms, const struct suspect *out[2])
{
	struct suspect pair = { .who = *who, .packet = packet, .since_ms = now_ms },
		       address = { .packet = packet, .since_ms = now_ms };
	unsigned n = 0;

	if (who->from[0] == '\0')
		return 0;
	t->death[t->next].at_ms = now_ms;
	t->death[t->next].who = *who;
	t->next = (t->next + 1) % SUSPECT_DEATHS;

	who_set(&address.who, span_of(NULL, 0), span_str(who->from));
	if (who->client[0] != '\0')
		pair.deaths = count_deaths(t, who, now_ms, time_ms);
	address.deaths = count_deaths(t, &address.who, now_ms, time_ms);
	if (pair.deaths >= limit) {
		keep_out(t, &pair);
		n++;
	}
	if (address.deaths >= limit * SUSPECT_ADDRESS_FACTOR) {
		keep_out(t, &address);
		n++;
	}
	for (unsigned i = 0; i < n; i++)
		out[i] = &t->out[t->nout - n + i];
	return n;
}

bool
suspects_over(struct suspects *t, uint64_t now_ms, uint64_t time_ms, struct suspect *out)
{
	for (unsigned i = 0; i < t->nout; i++)
		if (now_ms - t->out[i].since_ms >= time_ms) {
			take_out(t, i, out);
			return true;
		}
	return false;
}

bool
suspects_clear(struct suspects *t, const char *id, struct suspect *out)
{
	struct who named;

	who_set(&named, span_str(id != NULL ? id : ""), span_of(NULL, 0)); /* cut as it was */
	for (unsigned i = 0; i < t->nout; i++) {
		const struct who *w = &t->out[i].who;

		if (id != NULL &&
		    strcmp(w->client[0] != '\0' ? w->client : w->from, named.client) != 0)
			continue;
		take_out(t, i, out);
		for (unsigned d = 0; d < SUSPECT_DEATHS; d++)
			if (is_about(&out->who, &t->death[d].who))
				t->death[d].who.from[0] = '\0';
		return true;
	}
	return false;
}

void
suspect_text(const struct who *who, uint8_t packet, char out[SUSPECT_TEXT_MAX])
{
	bool has_name = who->client[0] != '\0';

	snprintf(out, SUSPECT_TEXT_MAX, "%s%s%sfrom=%s packet=%s", has_name ? "client=\"" : "",
	    has_name ? log_esc(span_str(who->client)) : "", has_name ? "\" " : "",
	    log_esc(span_str(who->from)), mqtt_packet_name(packet));
}
