/*
 * chance.h - what is drawn: all of it follows from one seed, the same on every machine
 */
#ifndef LIB_CHANCE_H
#define LIB_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

void chance_begin(uint64_t seed);
uint64_t between(uint64_t min, uint64_t max);  /* both included */
uint64_t after_ms(uint64_t min, uint64_t max); /* a moment, in now_ns() */
unsigned draw(unsigned below);                 /* from 0 on */
bool one_in(unsigned of);

#endif
