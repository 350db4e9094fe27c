#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/log.h"
#include "shared/net/exposed.h"

uint32_t
listen_id(unsigned listener, unsigned worker)
{
	return (uint32_t)(listener * SLOT_MQTT_MAX + worker);
}

static int
refused(const struct sock_addr *a, int err, struct conf_error *out)
{
	char text[SOCK_TEXT_MAX];

	sock_addr_text(a, text);
	if (err == -EADDRINUSE)
		snprintf(out->text, sizeof(out->text),
		    "cannot listen on %s: the address is in use, by another program or another "
		    "broker; choose another with --port, or stop it",
		    text);
	else if (err == -EACCES)
		snprintf(out->text, sizeof(out->text),
		    "cannot listen on %s: ports below 1024 need root or CAP_NET_BIND_SERVICE",
		    text);
	else
		snprintf(
		    out->text, sizeof(out->text), "cannot listen on %s: %s", text, strerror(-err));
	return err;
}

static bool
is_unix(const struct listener *l)
{
	return l->conf.type == TRANSPORT_unix;
}

/* A unix socket can't be bound once more: all have the one there is. */
static int
share_socket(struct listener *l, unsigned worker)
{
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
		if (l->fd[w] >= 0) {
			l->fd[worker] = dup(l->fd[w]);
			return l->fd[worker] >= 0 ? 0 : -errno;
		}
	return -EBADF;
}

/* Sockets for workers that have none yet. */
static int
bind_workers(struct listener *l, unsigned workers, struct conf_error *err)
{
	for (unsigned w = 0; w < workers; w++) {
		int bad;

		if (l->fd[w] >= 0)
			continue;
		if (is_unix(l) && (bad = share_socket(l, w)) != 0) {
			snprintf(err->text, sizeof(err->text), "cannot listen on %s: %s",
			    l->conf.path.s, strerror(-bad));
			return bad;
		}
		if (is_unix(l))
			continue;
		bad = sock_listen(&l->addr, (int)l->conf.backlog, &l->fd[w]);
		if (bad != 0)
			return refused(&l->addr, bad, err);
	}
	return 0;
}

/* Another name for the same place is no reason to leave it, except that a port nobody asked for is whose it was. */
static bool
is_bound_to(const struct listener *old, const struct conf_listener *l)
{
	bool same_name = strcmp(old->conf.name.s, l->name.s) == 0;

	if (is_unix(old) || l->type == TRANSPORT_unix)
		return is_unix(old) && l->type == TRANSPORT_unix &&
		    strcmp(old->conf.path.s, l->path.s) == 0 && unix_is_there(old);
	if (strcmp(old->conf.address.s, l->address.s) != 0)
		return false;
	return old->conf.port == l->port ? same_name || l->port != 0
					 : same_name && sock_addr_port(&old->addr) == l->port;
}

static struct listener *
bound_already(const struct conf_listener *l)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (master.listener[i].used && is_bound_to(&master.listener[i], l))
			return &master.listener[i];
	return NULL;
}

static int
bind_new(struct listener *l, struct conf_error *err)
{
	int bad;

	if (is_unix(l))
		return unix_bind(l, err);
	if (sock_addr_parse(l->conf.address.s, (uint16_t)l->conf.port, &l->addr) != 0) {
		snprintf(err->text, sizeof(err->text),
		    "listener \"%.31s\": \"%.63s\" is no address", l->conf.name.s,
		    l->conf.address.s);
		return -EINVAL;
	}
	/* SO_REUSEPORT alone would share the port with whoever has it. */
	bad = l->conf.port != 0 ? sock_probe(&l->addr) : 0;
	if (bad != 0)
		refused(&l->addr, bad, err);
	return bad;
}

static void
keep_bound(struct listener *l, const struct listener *old)
{
	l->addr = old->addr;
	l->file.dev = old->file.dev;
	l->file.ino = old->file.ino;
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
		l->fd[w] = old->fd[w] >= 0 ? dup(old->fd[w]) : -1;
}

int
listen_bind(const struct conf *c, struct listener out[LISTENERS_MAX], struct conf_error *err)
{
	unsigned workers = proc_workers(c->workers);

	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		out[i] = (struct listener){ 0 };
		for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
			out[i].fd[w] = -1;
	}
	for (uint32_t i = 0; i < c->nlisteners; i++) {
		const struct listener *old = bound_already(&c->listener[i]);
		struct listener *l = &out[i];
		int bad;

		l->index = i;
		l->conf = c->listener[i];
		l->used = true;
		bad = is_unix(l) ? unix_own(l, err) : 0;
		if (bad == 0 && old != NULL)
			keep_bound(l, old);
		else if (bad == 0)
			bad = bind_new(l, err);
		if (bad == 0)
			bad = bind_workers(l, workers, err);
		if (bad == 0)
			continue;
		listen_discard(out);
		return bad;
	}
	return 0;
}

/* Is a file of theirs that of l? */
static const struct listener *
same_file(const struct listener *in, const struct listener *l)
{
	for (unsigned i = 0; i < LISTENERS_MAX && is_unix(l); i++)
		if (in[i].used && is_unix(&in[i]) && in[i].file.dev == l->file.dev &&
		    in[i].file.ino == l->file.ino)
			return &in[i];
	return NULL;
}

/* Those whose place it was leave nothing there, unless they are still in force. */
void
listen_discard(struct listener next[LISTENERS_MAX])
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		if (!next[i].used)
			continue;
		if (is_unix(&next[i]) &&
		    (next == master.listener || same_file(master.listener, &next[i]) == NULL))
			unix_unlink(&next[i]);
		for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
			if (next[i].fd[w] >= 0)
				close(next[i].fd[w]);
	}
}

static const struct listener *
same_socket(const struct listener *in, const struct listener *l)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (in[i].used && strcmp(in[i].conf.name.s, l->conf.name.s) == 0 &&
		    in[i].addr.len == l->addr.len && in[i].file.ino == l->file.ino &&
		    memcmp(&in[i].addr.ss, &l->addr.ss, l->addr.len) == 0)
			return &in[i];
	return NULL;
}

static void
tell(struct slot *s, enum ipc_type type, const struct listener *l, unsigned worker, bool lent)
{
	struct msg_listener m = { .id = listen_id((unsigned)(l - master.listener), worker),
		.index = l->index,
		.lent = lent };

	memcpy(m.name, l->conf.name.s, sizeof(m.name) - 1);
	(void)slot_send(s, type, &m, sizeof(m), type == IPC_LISTENER ? &l->fd[worker] : NULL,
	    type == IPC_LISTENER);
}

/* Sockets that stay listen on, with room for as many as is said now. */
static void
set_backlogs(const struct listener *old)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		const struct listener *l = &master.listener[i];
		const struct listener *was = l->used ? same_socket(old, l) : NULL;

		for (unsigned w = 0; w < SLOT_MQTT_MAX && was != NULL; w++)
			if (l->fd[w] >= 0 && was->conf.backlog != l->conf.backlog)
				(void)listen(l->fd[w], (int)l->conf.backlog);
	}
}

/* Files that stay are those of who is said now. */
static void
set_files(const struct listener *old)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		const struct listener *l = &master.listener[i];
		const struct listener *was = l->used ? same_file(old, l) : NULL;

		if (was != NULL &&
		    (was->file.mode != l->file.mode || was->file.uid != l->file.uid ||
			was->file.gid != l->file.gid))
			unix_apply(l);
	}
}

/* What has gone is taken back first, under the ids of before; then what is new, under the ids of now. */
void
listen_commit(struct listener next[LISTENERS_MAX])
{
	static struct listener old[LISTENERS_MAX];
	bool again[LISTENERS_MAX] = { false };

	memcpy(old, master.listener, sizeof(old));
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		struct slot *s = &master.slot[w];

		if (!slot_is_live(s) || s->state == SLOT_DRAINING)
			continue;
		for (unsigned i = 0; i < LISTENERS_MAX; i++) {
			const struct listener *now =
			    old[i].used ? same_socket(next, &old[i]) : NULL;

			if (!old[i].used || old[i].fd[w] < 0)
				continue;
			/* One that moved in the list is given anew: its id and index are others. */
			if (now == NULL || now - next != i) {
				tell(s, IPC_LISTENER_GONE, &master.listener[i], w, false);
				again[i] = now != NULL;
			}
		}
	}
	memcpy(master.listener, next, sizeof(master.listener));
	set_backlogs(old);
	set_files(old);
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		struct slot *s = &master.slot[w];

		if (!slot_is_live(s) || s->state == SLOT_DRAINING)
			continue;
		for (unsigned i = 0; i < LISTENERS_MAX; i++) {
			const struct listener *was =
			    master.listener[i].used ? same_socket(old, &master.listener[i]) : NULL;

			if (!master.listener[i].used || master.listener[i].fd[w] < 0)
				continue;
			if (was == NULL || was->fd[w] < 0 || again[was - old])
				tell(s, IPC_LISTENER, &master.listener[i], w, false);
		}
	}
	listen_discard(old);
}

/* A unix socket is the other worker's already. */
void
slot_listeners(struct slot *s, const struct slot *to, bool lent)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (master.listener[i].used && master.listener[i].fd[s->n] >= 0 &&
		    !(lent && is_unix(&master.listener[i])))
			tell((struct slot *)to, IPC_LISTENER, &master.listener[i], s->n, lent);
}

void
slot_take_back(struct slot *s, struct slot *from)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (master.listener[i].used && master.listener[i].fd[s->n] >= 0 &&
		    !is_unix(&master.listener[i]))
			tell(from, IPC_LISTENER_GONE, &master.listener[i], s->n, true);
}

void
listen_close_worker(unsigned worker)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		struct listener *l = &master.listener[i];

		if (l->used && l->fd[worker] >= 0)
			close(l->fd[worker]);
		if (l->used)
			l->fd[worker] = -1;
	}
}

void
listen_tell(void)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++) {
		const struct listener *l = &master.listener[i];
		char at[SOCK_TEXT_MAX];

		if (!l->used)
			continue;
		sock_addr_text(&l->addr, at);
		log_notice("listen: serving listener=%s type=%s address=%s", l->conf.name.s,
		    conf_transport_name(&l->conf), is_unix(l) ? l->conf.path.s : at);
	}
	listen_warn();
}

void
listen_warn(void)
{
	char text[EXPOSED_TEXT_MAX];

	for (uint32_t i = 0; exposed_next(&master.conf, &i, text);)
		log_warning("listen: %s", text);
}

void
listen_close_all(void)
{
	listen_discard(master.listener);
	memset(master.listener, 0, sizeof(master.listener));
}
