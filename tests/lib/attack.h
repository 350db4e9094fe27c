/*
 * attack.h - what a broker is held to while somebody attacks it
 *
 * attack_start() starts a broker and measures it, and with it a witness: a process of its own with two clients that go on sending each other
 * messages, through persist too, and note the slowest round trip and the most memory the broker had. attack_end() stops the witness and holds the
 * broker to the bounds. Sanitizers have memory of their own: of such builds only service and what was counted is held against the bounds.
 */
#ifndef LIB_ATTACK_H
#define LIB_ATTACK_H

#include "tests/lib/load.h"

#define MIB (UINT64_C(1) << 20)

/* No $SYS messages, and a small page cache: what grows is the attack's. */
#define attack_start(...)                                                                          \
	attack_start_with((const char *[]){                                                        \
	    "sys_interval=0", "store_cache=4194304", __VA_ARGS__ __VA_OPT__(, ) NULL })
void attack_start_with(const char *const *settings);

void attack_look(void); /* measured now: most is held at this moment */
uint64_t attack_memory(
    void); /* bytes that all processes together have now more than at first; 0 with sanitizers */

/*
 * The attackers have closed their connections and what they left is cleared. most: bytes by which all processes together may have grown while it
 * went on; left: bytes of heap they may still have more than at first. Connections, sessions, subscriptions and what is stored have to be as before.
 */
void attack_end(uint64_t most, uint64_t left);

void mq_close_all(struct mq **m, int n);

#endif
