#include "worker/persist/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "worker/persist/out.h"
#include "worker/persist/session.h"

#define PREFIX "quarantine-"
#define FILES_MAX 16
#define BYTES_MAX ((size_t)1 << 20) /* of a record; the rest is not kept */

static bool is_named(const struct rec_id *id);
static const char *keep(const struct rec_id *id, struct span body);
static unsigned files(int dir);
static void refuse(unsigned slot, unsigned type, struct span body);

bool
quarantine_begin(unsigned slot, unsigned type, struct span body)
{
	const struct rec_id id =
	    rec_id_of(slot, mesh_gen(self.mesh, slot), mesh_position(self.mesh, slot), type, body);

	if (!is_named(&id)) {
		mesh_segment(self.mesh)->flight.record = id;
		return false;
	}
	count(CNT_quarantined);
	log_err("quarantine: persist has died of it again and again, not applied type=%s from=%s "
		"gen=%u "
		"position=%" PRIu64 " bytes=%u kept=%s",
	    rec_rule[type].name, proc_title(slot), id.gen, id.position, id.len, keep(&id, body));
	refuse(slot, type, body);
	return true;
}

void
quarantine_end(void)
{
	mesh_segment(self.mesh)->flight.record.type = REC_NONE;
}

/* Nothing is ever served before all have REGISTERED. */
static bool
is_named(const struct rec_id *id)
{
	const struct rec_id *named = self.birth.quarantine;

	for (unsigned i = 0; i < QUARANTINE_MAX && named[i].type != REC_NONE; i++)
		if (id->type != REC_REGISTERED && rec_id_eq(&named[i], id))
			return true;
	return false;
}

/* --- the file ---------------------------------------------------------------------------- */

/* Its name, or why there is none. */
static const char *
keep(const struct rec_id *id, struct span body)
{
	int dir = open(self.birth.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	static char name[NAME_MAX];
	const char *what = name;

	snprintf(name, sizeof(name), PREFIX "%s-%u-%u-%" PRIu64, rec_rule[id->type].name, id->slot,
	    id->gen, id->position);
	if (body.len > BYTES_MAX)
		body.len = BYTES_MAX;
	if (dir >= 0 && faccessat(dir, name, F_OK, 0) != 0 && files(dir) >= FILES_MAX)
		what = "nothing: there are too many";
	else if (dir < 0 ||
	    (fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0 ||
	    write(fd, body.p, body.len) != (ssize_t)body.len)
		what = "nothing: it can't be written";
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return what;
}

static unsigned
files(int dir)
{
	DIR *d = fdopendir(dup(dir));
	struct dirent *e;
	unsigned n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0;
	if (d != NULL)
		closedir(d);
	return n;
}

/* --- answers ----------------------------------------------------------------------------- */

static void
answer(unsigned slot, unsigned type, const void *rec, size_t len)
{
	out_answer(slot, OUT_NOTHING, type, &(struct iovec){ (void *)rec, len }, 1);
}

static void
let_go(unsigned slot, uint64_t epoch, uint32_t handle)
{
	const struct rec_let_go rec = {
		.epoch = epoch, .handle = handle, .reason = MQTT_IMPLEMENTATION_SPECIFIC_ERROR
	};

	answer(slot, REC_LET_GO, &rec, sizeof(rec));
}

/* Never with a yes. Of what needs no answer, or can have none, the connection ends or nobody waits. */
static void
refuse(unsigned slot, unsigned type, struct span body)
{
	const uint8_t reason = MQTT_IMPLEMENTATION_SPECIFIC_ERROR;
	struct rec_retain_get get;
	struct rec_release release;
	struct rec_connect connect;
	struct rec_kept_get all;
	struct rec_store store;
	struct rec_keep keep;
	struct rec_sub sub;
	struct session *s;

	switch (type) {
	case REC_STORE:
		if (!rec_take(&body, &store, sizeof(store)) || !(store.want & STORE_ANSWER))
			break;
		count(CNT_publish_refused__quarantined);
		answer(slot, REC_STORED,
		    &(struct rec_stored){ .token = store.token, .reason = reason },
		    sizeof(struct rec_stored));
		break;
	case REC_RELEASE: /* no PUBCOMP says that its identifier is still known */
		if (rec_take(&body, &release, sizeof(release)) &&
		    (s = session_about(slot, release.session, release.epoch)) != NULL)
			session_kick(s, reason);
		break;
	case REC_CONNECT:
		if (!rec_take(&body, &connect, sizeof(connect)))
			break;
		count(CNT_connects__refused_other);
		answer(slot, REC_GRANT,
		    &(struct rec_grant){ .token = connect.token, .reason = reason },
		    sizeof(struct rec_grant));
		break;
	case REC_REGISTER:
		if (rec_take(&body, &connect, sizeof(connect)))
			let_go(slot, connect.token, connect.handle);
		break;
	case REC_SUB:
	case REC_UNSUB:
		if (!rec_take(&body, &sub, sizeof(sub)) || sub.token == 0)
			break;
		if (type == REC_SUB)
			count(CNT_subscribes__refused_quarantined);
		answer(slot, type == REC_SUB ? REC_SUBBED : REC_UNSUBBED,
		    &(struct rec_subbed){ .token = sub.token, .reason = reason },
		    sizeof(struct rec_subbed));
		break;
	case REC_RETAIN_GET:
		if (rec_take(&body, &get, sizeof(get)))
			answer(slot, REC_RETAIN_END, &(struct rec_retain_end){ .token = get.token },
			    sizeof(struct rec_retain_end));
		break;
	case REC_KEEP:
		if (rec_take(&body, &keep, sizeof(keep)))
			answer(slot, REC_KEPT,
			    &(struct rec_kept){ .token = keep.token, .err = -EIO },
			    sizeof(struct rec_kept));
		break;
	case REC_KEPT_GET:
		if (rec_take(&body, &all, sizeof(all)))
			answer(slot, REC_KEPT_END, &(struct rec_kept_end){ .token = all.token },
			    sizeof(struct rec_kept_end));
		break;
	default:
		break;
	}
}
