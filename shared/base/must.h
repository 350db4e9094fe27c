/*
 * must.h - a broken invariant of our own ends this process, and only this one
 *
 * No client, file or peer process can make a must() fail: what they send is checked and answered.
 * The text goes to the sink (a child's flight recorder, read by the master after the reap) and to
 * stderr, then abort().
 *
 * Runs in: any process.
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#define MUST_TEXT_MAX 256 /* bytes, NUL included */

/* Where the text of a failing must() is written first; borrowed for ever, MUST_TEXT_MAX bytes. */
void must_sink(char *text);
/* Leaves last words as a failing must() does, for who dies otherwise; also in a signal handler. Changes text. */
void must_words(char text[MUST_TEXT_MAX]);

_Noreturn void must_failed(const char *file, int line, const char *cond);

#define must(cond) ((cond) ? (void)0 : must_failed(__FILE__, __LINE__, #cond))

#endif
