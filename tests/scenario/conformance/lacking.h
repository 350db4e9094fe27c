/*
 * lacking.h - a broker that lacks something, or has its own mind, and what only such a one can show
 */
#ifndef CONFORMANCE_LACKING_H
#define CONFORMANCE_LACKING_H

#define LACKING                                                                                    \
	"max_qos=1", "retain_available=false", "wildcard_available=false", "topic_alias_max=0",    \
	    "max_keepalive=2"
#define ONLY_LACKING                                                                               \
	"--only 3.1.2-21,3.2.2-9,3.2.2-10,3.2.2-11,3.2.2-12,3.2.2-13,3.2.2-14,3.2.2-18,3.2.2-21,"  \
	"3.8.3-2"

#endif
