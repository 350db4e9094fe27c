#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "master/master.h"
#include "master/suspects.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/mqtt/mqtt.h"

#define DEATHS 3 /* of persist: the third is no accident */

static struct {
	struct deadly {
		struct rec_id id;
		uint32_t deaths;
		uint64_t last; /* which death of all it was */
	} of[QUARANTINE_MAX];
	uint64_t deaths;
	struct suspects clients;
} the;

static void tell_all(void);
static uint64_t time_ms(void);
static json_t *text_json(const char *text);

/* --- records, of which persist dies ------------------------------------------------------ */

bool
quarantine_note_record(const struct segment *seg)
{
	struct deadly *d = &the.of[0];
	struct rec_id id;

	memcpy(&id, &seg->flight.record, sizeof(id));
	if (id.type == REC_NONE || id.type >= REC_TYPES)
		return false;
	/* The one that it has not died of for longest has left the ring. */
	for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
		if (the.of[i].deaths > 0 && rec_id_eq(&the.of[i].id, &id)) {
			d = &the.of[i];
			break;
		}
		if (the.of[i].last < d->last)
			d = &the.of[i];
	}
	if (!rec_id_eq(&d->id, &id))
		*d = (struct deadly){ .id = id };
	d->deaths++;
	d->last = ++the.deaths;
	log_err("quarantine: persist died applying type=%s from=%s gen=%u position=%" PRIu64
		" deaths=%u%s",
	    rec_rule[id.type].name, proc_title(id.slot), id.gen, id.position, d->deaths,
	    d->deaths >= DEATHS ? ", its successor sets it aside" : "");
	return d->deaths >= DEATHS;
}

void
quarantine_tell_records(struct msg_start *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < QUARANTINE_MAX; i++)
		if (the.of[i].deaths >= DEATHS)
			m->quarantine[n++] = the.of[i].id;
}

/* --- clients, of which workers die ------------------------------------------------------- */

bool
quarantine_note_client(const struct segment *seg)
{
	char text[SUSPECT_TEXT_MAX], until[32];
	const struct suspect *out[2];
	struct flight f;
	struct tm tm;
	time_t end;
	unsigned n;

	memcpy(&f, &seg->flight, sizeof(f));
	who_end(&f.who);
	if (f.packet == 0 || master.conf.quarantine_deaths == 0)
		return false;
	n = suspects_died(&the.clients, &f.who, f.packet, master.conf.quarantine_deaths, clock_ms(),
	    time_ms(), out);
	end = (time_t)((clock_wall_ms() + time_ms()) / 1000);
	strftime(until, sizeof(until), "%FT%TZ", gmtime_r(&end, &tm));
	for (unsigned i = 0; i < n; i++) {
		suspect_text(&out[i]->who, out[i]->packet, text);
		log_err("quarantine: workers died of it, refused from now on %s deaths=%u until=%s"
			"; see tbmqctl quarantine list",
		    text, out[i]->deaths, until);
	}
	if (n > 0)
		tell_all();
	return n > 0;
}

void
quarantine_tell_clients(struct slot *s)
{
	struct msg_quarantine m = { .n = the.clients.nout };

	if (s->n >= SLOT_MQTT_MAX)
		return;
	for (unsigned i = 0; i < m.n; i++)
		m.of[i] = the.clients.out[i].who;
	slot_send(s, IPC_QUARANTINE, &m, sizeof(m), NULL, 0);
}

static void
tell_all(void)
{
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
		if (slot_is_live(&master.slot[w]))
			quarantine_tell_clients(&master.slot[w]);
}

static uint64_t
time_ms(void)
{
	return master.conf.quarantine_time * UINT64_C(1000);
}

static void
ended(const struct suspect *s, const char *why)
{
	char text[SUSPECT_TEXT_MAX];

	suspect_text(&s->who, s->packet, text);
	log_notice("quarantine: %s, no longer refused %s", why, text);
}

void
quarantine_tick(void)
{
	bool is_off = master.conf.quarantine_deaths == 0;
	struct suspect s;
	unsigned n = 0;

	for (; suspects_over(&the.clients, clock_ms(), is_off ? 0 : time_ms(), &s); n++)
		ended(&s, is_off ? "switched off" : "its time is over");
	if (n > 0)
		tell_all();
}

unsigned
quarantine_let_in(const char *id)
{
	struct suspect s;
	unsigned n = 0;

	for (; suspects_clear(&the.clients, id, &s); n++)
		ended(&s, "cleared");
	if (n > 0)
		tell_all();
	return n;
}

/* --- both -------------------------------------------------------------------------------- */

json_t *
quarantine_items(void)
{
	json_t *items = json_array();

	for (unsigned i = 0; i < the.clients.nout; i++) {
		const struct suspect *s = &the.clients.out[i];
		uint64_t past = clock_ms() - s->since_ms,
			 left = past < time_ms() ? time_ms() - past : 0;

		json_array_append_new(items,
		    json_pack("{s:s, s:o*, s:o, s:s, s:I, s:I}", "what",
			s->who.client[0] != '\0' ? "client" : "address", "client_id",
			s->who.client[0] != '\0' ? text_json(s->who.client) : NULL, "from",
			text_json(s->who.from), "packet", mqtt_packet_name(s->packet), "deaths",
			(json_int_t)s->deaths, "seconds_left", (json_int_t)(left + 999) / 1000));
	}
	for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
		const struct deadly *d = &the.of[i];

		if (d->deaths >= DEATHS)
			json_array_append_new(items,
			    json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "what", "record", "type",
				rec_rule[d->id.type].name, "from", proc_title(d->id.slot),
				"generation", (json_int_t)d->id.gen, "position",
				(json_int_t)d->id.position, "deaths", (json_int_t)d->deaths));
	}
	return items;
}

/* It may have been cut within a character, or be no text at all. */
static json_t *
text_json(const char *text)
{
	return json_string(utf8_is_valid(span_str(text)) ? text : log_esc(span_str(text)));
}
