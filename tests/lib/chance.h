/*
 * chance.h - what is drawn: all of it follows from one seed, the same on every machine
 */
#ifndef LIB_CHANCE_H
#define LIB_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

void chance_begin(uint64_t seed);
unsigned draw(unsigned below); /* from 0 on */
bool one_in(unsigned of);

#endif
