/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading of secrets. A file is taken only if it is a regular one, so that nothing can block the loop.
 */
#include "connectors/mqtt/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_BYTES 65535u /* of a field of the CONNECT, MQTT 5 §1.5.6 */
#define ROOM       (MOST_BYTES + 3) /* a new line behind, and one byte that shows that there is more */

static void credentials_free_text(char *text)
{
	if (text)
		explicit_bzero(text, ROOM);
	free(text);
}

/* Reads to the end, or until the room is full: the number of bytes, or a negative errno. */
static ssize_t credentials_drain(int fd, char *text)
{
	size_t len = 0;
	while (len < ROOM) {
		ssize_t n = read(fd, text + len, ROOM - len);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)len;
}

/* -ENODEV: not a regular file. */
static ssize_t credentials_load(const char *path, char *text)
{
	struct stat info;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t n;
	if (fstat(fd, &info) < 0)
		n = -errno;
	else if (!S_ISREG(info.st_mode))
		n = -ENODEV;
	else
		n = credentials_drain(fd, text);
	close(fd);
	return n;
}

/* Editors and `echo` put a new line behind a secret, which is none of it. */
static size_t credentials_trim(const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	return len;
}

static const char *credentials_wrong(struct slice text, bool is_text)
{
	if (text.len == 0)
		return "is empty";
	if (text.len > MOST_BYTES)
		return "holds more than the 65535 bytes that MQTT allows";
	if (is_text && !mqtt_text_valid(text))
		return "is not UTF-8, or holds a zero byte";
	return NULL;
}

static int credentials_file(const char *key, const char *path, bool is_text, char **ret_owned, struct slice *ret_text,
	char *error, size_t error_size)
{
	snprintf(error, error_size, "%s: out of memory", key);
	char *text = malloc(ROOM);
	if (!text)
		return -ENOMEM;
	ssize_t n = credentials_load(path, text);
	const char *wrong = n == -ENODEV ? "is not a regular file" : NULL;
	if (n < 0 && !wrong)
		wrong = strerror((int)-n);
	struct slice found = slice_of(text, n > 0 ? credentials_trim(text, (size_t)n) : 0);
	if (!wrong)
		wrong = credentials_wrong(found, is_text);
	if (wrong) {
		snprintf(error, error_size, "%s: '%s': %s; it must be a readable file with nothing but the %s", key,
			path, wrong, is_text ? "user name" : "password");
		credentials_free_text(text);
		return -EINVAL;
	}
	*ret_owned = text;
	*ret_text = found;
	return 0;
}

int credentials_read(
	const struct mqtt_settings *settings, struct credentials *ret_credentials, char *error, size_t error_size)
{
	struct credentials got = {
		.user_name = slice_str(settings->username),
		.password = slice_str(settings->password),
	};
	int r = 0;
	if (settings->username_file)
		r = credentials_file("username_file", settings->username_file, true, &got.owned[0], &got.user_name,
			error, error_size);
	if (r == 0 && settings->password_file)
		r = credentials_file("password_file", settings->password_file, false, &got.owned[1], &got.password,
			error, error_size);
	if (r < 0)
		credentials_wipe(&got);
	else
		*ret_credentials = got;
	return r;
}

void credentials_wipe(struct credentials *credentials)
{
	for (size_t i = 0; i < 2; i++)
		credentials_free_text(credentials->owned[i]);
	*credentials = (struct credentials){0};
}
