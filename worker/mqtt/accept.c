#include "worker/mqtt/accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "shared/net/forwarded.h"
#include "shared/net/sock.h"
#include "worker/mqtt/block.h"
#include "worker/mqtt/conn.h"
#include "worker/mqtt/origin.h"
#include "worker/mqtt/quarantine.h"
#include "worker/mqtt/refused.h"

#define ACCEPTS 64   /* connections of one listener in one turn */
#define SHARED 8     /* the same where other workers accept from the same socket */
#define PAUSE_MS 100 /* until accepting is tried again when nothing ends */

struct listener {
	struct watch watch;
	struct list link;
	int fd;
	uint32_t id, index;
	bool shared; /* a unix socket: all workers have it */
	char name[32];
};

struct address { /* with connections that have not sent CONNECT */
	uint32_t n;
	uint16_t len;
	char text[];
};

static struct {
	struct list all;
	struct htab addresses;
	struct timer timer;
	bool ready, serving, paused;
	uint64_t rate_at_ms;
	double rate;
} the;

static void on_accept(struct watch *w, uint32_t events);
static void on_pause_end(struct timer *t);
static bool accept_one(struct listener *l);
static bool is_shared(int fd);
static int watch_it(struct listener *l);
static bool is_balanced(const struct listener *l, const char *peer);
static void accept_pause(void);
static void listener_close(struct listener *l);
static bool is_full(uint32_t limit, unsigned listener);
static bool rate_take(void);
static bool half_open_add(const char *peer);

static uint64_t
address_hash(const void *entry)
{
	const struct address *a = entry;

	return hash_bytes(&self.key, span_of(a->text, a->len));
}

static bool
address_eq(const void *entry, const void *key)
{
	const struct address *a = entry;

	return span_eq(span_of(a->text, a->len), *(const struct span *)key);
}

static void
accept_ready(void)
{
	if (the.ready)
		return;
	list_init(&the.all);
	htab_init(&the.addresses, address_hash);
	timer_init(&the.timer, on_pause_end);
	the.ready = true;
}

int
accept_listener(const struct msg_listener *l, int fd)
{
	struct listener *x;

	accept_ready();
	x = calloc(1, sizeof(*x));
	if (x == NULL) {
		close(fd);
		return -ENOMEM;
	}
	*x = (struct listener){ .watch = { .fd = -1, .fn = on_accept },
		.fd = fd,
		.id = l->id,
		.index = l->index,
		.shared = is_shared(fd) };
	memcpy(x->name, l->name, sizeof(x->name) - 1);
	list_add_tail(&the.all, &x->link);
	if (the.serving && !the.paused)
		return watch_it(x);
	return 0;
}

void
accept_listener_gone(uint32_t id)
{
	struct listener *l, *tmp;

	accept_ready();
	LIST_FOREACH(l, tmp, &the.all, struct listener, link) {
		if (l->id != id)
			continue;
		while (the.serving && accept_one(l))
			;
		listener_close(l);
		return;
	}
}

void
accept_conf(const struct conf *was, const struct conf *now)
{
	struct listener *l, *tmp;

	accept_ready();
	origin_conf(was, now);
	LIST_FOREACH(l, tmp, &the.all, struct listener, link)
		l->index = conn_listener_index(now, l->name);
}

void
accept_start(void)
{
	struct listener *l, *tmp;

	accept_ready();
	the.serving = true;
	the.paused = true;
	accept_resume();
	LIST_FOREACH(l, tmp, &the.all, struct listener, link)
		log_debug("accept: listening listener=%s", l->name);
}

void
accept_stop(void)
{
	struct listener *l, *tmp;

	accept_ready();
	LIST_FOREACH(l, tmp, &the.all, struct listener, link) {
		/* At one that others share, who waits is theirs. */
		while (the.serving && !l->shared && accept_one(l))
			;
		listener_close(l);
	}
	the.serving = false;
}

void
accept_resume(void)
{
	struct listener *l, *tmp;

	if (!the.paused || !the.serving)
		return;
	the.paused = false;
	timer_del(&the.timer);
	LIST_FOREACH(l, tmp, &the.all, struct listener, link) {
		int err = watch_it(l);

		if (err != 0) {
			log_err("accept: cannot watch listener=%s: %s", l->name, strerror(-err));
			accept_pause();
			return;
		}
	}
}

void
accept_half_open_del(const char *peer)
{
	struct span text = sock_text_host(peer);
	uint64_t hash = hash_bytes(&self.key, text);
	struct address *a = htab_find(&the.addresses, hash, address_eq, &text);

	if (a == NULL || --a->n > 0)
		return;
	htab_del(&the.addresses, hash, a);
	free(a);
}

bool
accept_half_open_moves(const char *from, const char *to)
{
	if (block_has_address(to)) {
		count(CNT_refused__blocked);
		refused_note_address(to, "", MQTT_BANNED, "blocked");
		log_every(10, LOG_WARNING, "accept: refused peer=%s: blocked", to);
		return false;
	}
	if (!origin_lets_in(to)) {
		count(CNT_refused__address_rate);
		log_every(10, LOG_WARNING, "accept: refused peer=%s: connect_rate_address", to);
		return false;
	}
	if (quarantine_has(span_of(NULL, 0), to)) {
		count(CNT_refused__quarantined);
		refused_note_address(to, "", MQTT_BANNED, "in quarantine");
		log_every(10, LOG_WARNING, "accept: refused peer=%s: in quarantine", to);
		return false;
	}
	if (!half_open_add(to)) {
		count(CNT_refused__half_open);
		log_every(10, LOG_WARNING,
		    "accept: refused peer=%s: too many connections that have not sent CONNECT", to);
		return false;
	}
	accept_half_open_del(from);
	return true;
}

void
accept_fini(void)
{
	struct listener *l, *tmp;
	struct address *a;
	uint64_t pos = 0;

	accept_ready();
	LIST_FOREACH(l, tmp, &the.all, struct listener, link)
		listener_close(l);
	timer_del(&the.timer);
	while ((a = htab_next(&the.addresses, &pos)) != NULL) {
		htab_del(&the.addresses, address_hash(a), a);
		free(a);
	}
	htab_fini(&the.addresses);
	origin_fini();
}

static void
on_accept(struct watch *w, uint32_t events)
{
	struct listener *l = container_of(w, struct listener, watch);

	(void)events;
	for (int i = 0; i < (l->shared ? SHARED : ACCEPTS) && !the.paused; i++)
		if (!accept_one(l))
			break;
	if (!l->shared || the.paused)
		return;
	/* Who waits at the socket for longest is woken next: the others' turn. */
	loop_del(self.loop, w);
	if (watch_it(l) != 0)
		accept_pause();
}

static bool
is_shared(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* One worker is woken for a connection, not all who share the socket. */
static int
watch_it(struct listener *l)
{
	return loop_add(
	    self.loop, &l->watch, l->fd, l->shared ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN);
}

static void
on_pause_end(struct timer *t)
{
	(void)t;
	accept_resume();
}

/* False: nobody waits, or it can't be done now. */
static bool
accept_one(struct listener *l)
{
	struct sock_addr from = { .len = sizeof(from.ss) };
	char peer[SOCK_TEXT_MAX];
	bool full = is_full(self.conf.max_connections, CONN_NO_LISTENER) ||
	    (l->index != CONN_NO_LISTENER &&
		is_full(self.conf.listener[l->index].max_connections, l->index));
	int fd;

	if (!rate_take()) {
		accept_pause();
		return false;
	}
	fd = accept4(l->fd, &from.sa, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_every(10, LOG_WARNING, "accept: paused listener=%s: %s", l->name,
			    strerror(errno));
			accept_pause();
		}
		return errno == ECONNABORTED || errno == EINTR;
	}
	sock_peer_text(fd, &from, peer);
	if (block_has_address(peer)) {
		count(CNT_refused__blocked);
		refused_note_address(peer, l->name, MQTT_BANNED, "blocked");
		log_every(10, LOG_WARNING, "accept: refused peer=%s: blocked", peer);
		close(fd);
		return true;
	}
	/* Behind a balancer who the client is comes later: accept_half_open_moves(). */
	if (!is_balanced(l, peer) && !origin_lets_in(peer)) {
		count(CNT_refused__address_rate);
		log_every(10, LOG_WARNING, "accept: refused peer=%s: connect_rate_address", peer);
		close(fd);
		return true;
	}
	if (quarantine_has(span_of(NULL, 0), peer)) {
		count(CNT_refused__quarantined);
		refused_note_address(peer, l->name, MQTT_BANNED, "in quarantine");
		log_every(10, LOG_WARNING, "accept: refused peer=%s: in quarantine", peer);
		close(fd);
		return true;
	}
	if (full) {
		count(CNT_refused__max_connections);
		log_every(10, LOG_WARNING, "accept: refused peer=%s listener=%s: max_connections",
		    peer, l->name);
		close(fd);
		return true;
	}
	if (conn_half_open() >= self.conf.max_half_open || !half_open_add(peer)) {
		count(CNT_refused__half_open);
		log_every(10, LOG_WARNING,
		    "accept: refused peer=%s: too many connections that have not sent CONNECT",
		    peer);
		close(fd);
		return true;
	}
	if (conn_accept(fd, l->index, peer) != 0) {
		accept_half_open_del(peer);
		close(fd);
		log_every(10, LOG_ERR, "accept: no memory for peer=%s", peer);
		return true;
	}
	log_info("conn: accepted peer=%s listener=%s", peer, l->name);
	return true;
}

static bool
is_balanced(const struct listener *l, const char *peer)
{
	const struct conf_listener *of =
	    l->index != CONN_NO_LISTENER ? &self.conf.listener[l->index] : NULL;

	return of != NULL &&
	    (of->proxy_protocol || forwarded_is_trusted(of->trusted_proxies.s, peer));
}

static void
accept_pause(void)
{
	struct listener *l, *tmp;

	if (!the.paused)
		count(CNT_accept_paused);
	the.paused = true;
	LIST_FOREACH(l, tmp, &the.all, struct listener, link)
		if (l->watch.fd >= 0)
			loop_del(self.loop, &l->watch);
	timer_set(loop_timers(self.loop), &the.timer, clock_ms() + PAUSE_MS);
}

static void
listener_close(struct listener *l)
{
	if (l->watch.fd >= 0)
		loop_del(self.loop, &l->watch);
	close(l->fd);
	list_del(&l->link);
	free(l);
}

/* Has the whole broker so many connections, or a listener of it? 0: no limit. */
static bool
is_full(uint32_t limit, unsigned listener)
{
	uint64_t n = 0;

	for (unsigned s = 0; s < SLOT_MQTT_MAX && limit > 0 && n < limit; s++) {
		const struct segment *seg =
		    s == self.slot ? mesh_segment(self.mesh) : mesh_peer(self.mesh, s);

		if (seg != NULL)
			n += listener == CONN_NO_LISTENER
			    ? atomic_load_explicit(
				  &seg->counter[CNT_connections], memory_order_relaxed)
			    : atomic_load_explicit(
				  &seg->on_listener[listener], memory_order_relaxed);
	}
	return limit > 0 && n >= limit;
}

/* A bucket of one second's connections. */
static bool
rate_take(void)
{
	double per_s = self.conf.connect_rate;
	uint64_t now = clock_ms();

	if (per_s == 0)
		return true;
	the.rate += (double)(now - the.rate_at_ms) / 1000 * per_s;
	the.rate_at_ms = now;
	if (the.rate > per_s)
		the.rate = per_s;
	if (the.rate < 1)
		return false;
	the.rate -= 1;
	return true;
}

static bool
half_open_add(const char *peer)
{
	struct span text = sock_text_host(peer);
	uint64_t hash = hash_bytes(&self.key, text);
	struct address *a = htab_find(&the.addresses, hash, address_eq, &text);

	if (a != NULL) {
		if (a->n >= self.conf.max_half_open_address)
			return false;
		a->n++;
		return true;
	}
	a = malloc(sizeof(*a) + text.len);
	if (a == NULL)
		return false;
	a->n = 1;
	a->len = (uint16_t)text.len;
	memcpy(a->text, text.p, text.len);
	if (htab_add(&the.addresses, hash, a) != 0) {
		free(a);
		return false;
	}
	return true;
}
