/*
 * farewell.h - how a worker ends: drained slowly, or stopped at once
 *
 * Drained: accepts nothing more and exits when the last client has left; clients are handed a DISCONNECT, so many a second, only if asked
 * for. Stopped: every client gets DISCONNECT 0x8B, what they had published is seen through, then exit.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_FAREWELL_H
#define MQTT_FAREWELL_H

#include "shared/ipc/chan.h"

void farewell_drain(const struct msg_drain *d);
void farewell_stop(void);
bool farewell_turn(void);

#endif
