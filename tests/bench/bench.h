/*
 * bench.h - what the user asked for, and how figures are said
 *
 * tbmq-bench is one process and one thread, so it has its state in the modules. Figures go from
 * the modes to figure(), and figures_print() prints them for people or as one JSON object.
 *
 * A fault of the broker is counted and reported.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All that is a number or a flag is a uint64_t: main.c has them in a table. */
struct options {
	const char *host;
	uint64_t port, version, qos, size, keep_alive;
	uint64_t pid;             /* 0: nothing is said about the broker's processes */
	uint64_t clients;         /* subscribers, publishers, pairs, slots, idle clients */
	uint64_t inflight;        /* unacknowledged messages of a publisher */
	uint64_t window;          /* deliveries outstanding in all: the closed loop */
	uint64_t rate;            /* published a second in all; 0: closed loop */
	uint64_t seconds, warmup; /* measured, and before that */
	uint64_t subscriptions, per_holder; /* held beside the traffic, and on one connection */
	uint64_t subscribe;                 /* flag: idle clients have a subscription */
	uint64_t offline;                   /* flag: durable subscribers are away */
	uint64_t messages, sessions; /* for each durable subscriber; others that are offline */
	uint64_t receive_max;        /* of subscribers; 0: they don't say */
	uint64_t leave;              /* flag: durable sessions stay on the broker */
	const char *restart, *dir;   /* command; where files of the floors are */
	uint64_t batch;              /* records synced at once there */
	const char *tls; /* file of who signs the broker's certificate; NULL: in the clear */
	uint64_t resume; /* flag: with TLS sessions of before */
	uint64_t users;  /* how many there are; 0: nobody says who it is */
	uint64_t json;   /* flag */
};

extern struct options opt;
uint64_t own_cpu_ns(void);

/* key, label and unit are borrowed for ever. A key is the name in JSON. */
void figure(const char *key, const char *label, double value, const char *unit);
/* A figure that has to be 0; answers whether it is. */
bool figure_fault(const char *key, const char *label, uint64_t count);
void figures_print(const char *mode, bool good);

/* A mode runs to its end, says its figures, and answers whether the broker did all it had to. */
bool load_fan_out(void);
bool load_fan_in(void);
bool load_pairs(void);
bool load_beside_subscriptions(void);
bool load_durable(void);
bool load_drain(void);
bool load_restart(void);
bool conns_cycle(void);
bool conns_idle(void);
bool conns_sessions(void);
bool floor_sync(void);
bool floor_read(void);

/* Durable sessions with a subscription each, left offline. */
void conns_make_sessions(uint64_t n);
/* Runs a command that kills the broker and starts it again; answers for how long it served nobody. */
uint64_t restart_broker(const char *command);

#endif
