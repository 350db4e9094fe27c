#include "shared/net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/must.h"

#define EVENTS 512
#define MOVED_NAP_MS 50 /* a test clock jumps without waking anybody */

struct loop {
	int epoll;
	bool stopped, more;
	struct timers *timers;
	struct loop_ops ops;
	void *arg;
	int n, at; /* events of this turn; the one being handled */
	struct epoll_event event[EVENTS];
};

int
loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));
	int err;

	if (l == NULL)
		return -ENOMEM;
	l->timers = timers_new();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->timers == NULL || l->epoll < 0) {
		err = l->epoll < 0 ? -errno : -ENOMEM;
		loop_free(l);
		return err;
	}
	clock_tick();
	timers_run(l->timers, clock_ms());
	*out = l;
	return 0;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	if (l->epoll >= 0)
		close(l->epoll);
	timers_free(l->timers);
	free(l);
}

void
loop_ops(struct loop *l, const struct loop_ops *ops, void *arg)
{
	l->ops = *ops;
	l->arg = arg;
}

struct timers *
loop_timers(struct loop *l)
{
	return l->timers;
}

int
loop_add(struct loop *l, struct watch *w, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		return -errno;
	w->fd = fd;
	w->events = events;
	return 0;
}

int
loop_mod(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (w->events == events)
		return 0;
	if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &e) != 0)
		return -errno;
	w->events = events;
	return 0;
}

void
loop_del(struct loop *l, struct watch *w)
{
	if (w->fd < 0)
		return;
	must(epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL) == 0);
	w->fd = -1;
	for (int i = l->at + 1; i < l->n; i++)
		if (l->event[i].data.ptr == w)
			l->event[i].data.ptr = NULL;
}

static int
shorter(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

bool
loop_turn(struct loop *l, int max_wait_ms)
{
	int wait = 0, nap;
	bool slept = false;

	if (l->stopped)
		return false;
	if (!l->more) {
		wait = shorter(timers_wait_ms(l->timers, clock_ms()), max_wait_ms);
		if (clock_is_moved())
			wait = shorter(wait, MOVED_NAP_MS);
		if (wait != 0 && l->ops.on_sleep != NULL) {
			nap = l->ops.on_sleep(l->arg);
			wait = shorter(wait, nap);
			slept = true;
		}
	}
	l->n = epoll_wait(l->epoll, l->event, EVENTS, wait);
	if (slept && l->ops.on_woken != NULL)
		l->ops.on_woken(l->arg);
	clock_tick();
	for (l->at = 0; l->at < l->n; l->at++) {
		struct watch *w = l->event[l->at].data.ptr;

		if (w != NULL)
			w->fn(w, l->event[l->at].events);
	}
	l->n = 0;
	timers_run(l->timers, clock_ms());
	l->more = l->ops.on_turn != NULL && l->ops.on_turn(l->arg);
	return !l->stopped;
}

void
loop_run(struct loop *l)
{
	while (loop_turn(l, -1))
		;
}

void
loop_stop(struct loop *l)
{
	l->stopped = true;
}
