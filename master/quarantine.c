#include <inttypes.h>

#include "master/master.h"
#include "shared/base/log.h"

#define DEATHS 3 /* the third is no accident */

static struct {
	struct deadly {
		struct rec_id id;
		uint32_t deaths;
		uint64_t last; /* which death of all it was */
	} of[QUARANTINE_MAX];
	uint64_t deaths;
} the;

bool
quarantine_note(const struct segment *seg)
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
quarantine_tell(struct msg_start *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < QUARANTINE_MAX; i++)
		if (the.of[i].deaths >= DEATHS)
			m->quarantine[n++] = the.of[i].id;
}
