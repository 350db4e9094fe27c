/*
 * port.h - ports of loopback for what has to be told one
 */
#ifndef LIB_PORT_H
#define LIB_PORT_H

/* Nobody has it; somebody else may get it before it is used. -errno: there is none. */
int port_free(void);
/* Likewise, below those that the kernel hands out to connections: it will still be free when a broker that was killed comes back. */
int port_to_keep(void);

#endif
