#include "tests/lib/http.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t service;
static int input = -1; /* it ends with this */

static int
read_port(void)
{
	char path[200];
	int port = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/http.port", broker.dir);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	check(fscanf(f, "%d", &port) == 1);
	fclose(f);
	return port;
}

int
http_start(const char *certificate, const char *key)
{
	int p[2];

	check(broker_sh("rm -f $DIR/http.port") == 0 && pipe2(p, O_CLOEXEC) == 0);
	service = fork();
	check(service >= 0);
	if (service == 0) {
		dup2(p[0], 0);
		execlp("python3", "python3", "tests/lib/http_service.py", broker.dir, certificate,
		    key, (char *)NULL);
		_exit(127);
	}
	close(p[0]);
	input = p[1];
	wait_for(read_port() > 0);
	return read_port();
}

void
http_end(void)
{
	kill(service, SIGKILL);
	check(waitpid(service, NULL, 0) == service);
	close(input);
}

int
http_asked(const char *text)
{
	char path[200], line[4096];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/http.log", broker.dir);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, text) != NULL;
	if (f != NULL)
		fclose(f);
	return n;
}
