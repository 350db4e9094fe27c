/*
 * tls.h - listeners of TLS for a scenario's broker, with certificates made for it (ca.sh), and clients of others that use them
 */
#ifndef LIB_TLS_H
#define LIB_TLS_H

/*
 * Adds a listener to the file of the broker that runs and has it reloaded. keys: as in the file, with $CA for the directory that ca.sh
 * fills. Its port.
 */
int tls_listener(const char *name, const char *keys);
/* The same of any type; that of TLS is "tls". */
int tls_listener_of(const char *type, const char *name, const char *keys);
/* By the shell, as broker_sh(), with $CA, $PORT, and $TLS, which is how mosquitto's clients get there. */
int tls_sh(int port, const char *commands);

#endif
