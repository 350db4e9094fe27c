/*
 * conf_files.h - what a configuration names, and conf.h can't look at: files, and texts that other modules read
 *
 * For who wants to know whether a broker would run with it, without running one.
 *
 * Runs in: master (tbmqd -t), tbmqctl. Reads files; nothing of them stays.
 * Errors:  -errno with *err. 0 may leave a warning there, else it is as it was.
 */
#ifndef NET_CONF_FILES_H
#define NET_CONF_FILES_H

#include "shared/conf/conf.h"

int conf_files_check(const struct conf *c, struct conf_error *err);

#endif
