/* SPDX-License-Identifier: Apache-2.0
 *
 * A program's own symbol comes before the library's, for libcurl too.
 */
#define _GNU_SOURCE /* accept4 */
#include "tests/unit/common/authorities.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/x509_vfy.h>

#include "tests/unit/tap.h"

static unsigned folders;

int X509_STORE_load_path(X509_STORE *store, const char *path)
{
	(void)store, (void)path;
	folders++;
	return 1;
}

unsigned authorities_folders(void)
{
	return folders;
}

void *authorities_answer(void *arg)
{
	static const char answer[] = "HTTP/1.1 400 no TLS here\r\n\r\n";
	char hello[4096];
	int fd = accept4(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
	bool heard = fd >= 0 && recv(fd, hello, sizeof hello, 0) > 0;
	CU_ASSERT(heard && send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) > 0);
	close(fd);
	return NULL;
}
