/* SPDX-License-Identifier: Apache-2.0
 *
 * One open, fstat and read; the identity of what was read comes from the same file descriptor.
 */
#include "connectors/http/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void token_file_init(struct token_file *file, const char *path)
{
	*file = (struct token_file){.path = path, .again = true};
}

static void drop_token(char *token)
{
	if (token)
		explicit_bzero(token, strlen(token));
	free(token);
}

void token_file_clear(struct token_file *file)
{
	drop_token(file->token);
	file->token = NULL;
}

void token_file_forget(struct token_file *file)
{
	file->again = true;
	file->seen = (struct stat){0};
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The number of bytes, or a negative errno. -EFBIG: there are more. */
static ssize_t drain(int fd, char *text)
{
	size_t len = 0;
	while (len <= TOKEN_FILE_MAX_BYTES) {
		ssize_t n = read(fd, text + len, TOKEN_FILE_MAX_BYTES + 1 - len);
		if (n == 0)
			return (ssize_t)len;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return -EFBIG;
}

static ssize_t read_file(const char *path, struct stat *ret_info, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t n = fstat(fd, ret_info) < 0 ? -errno : S_ISREG(ret_info->st_mode) ? drain(fd, text) : -ENODEV;
	close(fd);
	return n;
}

/* Visible ASCII, as RFC 6750 §2.1 has it and a header can hold. */
static const char *check_token(const char *text, size_t len)
{
	if (len == 0)
		return "is empty";
	for (size_t i = 0; i < len; i++)
		if (text[i] <= 0x20 || text[i] > 0x7e)
			return "holds something else than one token of visible ASCII characters";
	return NULL;
}

static const char *error_text(ssize_t n)
{
	return n == -ENODEV ? "is not a regular file" : n == -EFBIG ? "holds more than 16384 bytes" : strerror((int)-n);
}

static bool take(struct token_file *file, const char *text, size_t len)
{
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	const char *wrong = check_token(text, len);
	char *copy = wrong ? NULL : strndup(text, len);
	if (!copy) {
		snprintf(file->error, sizeof file->error, "%s %s; it must hold nothing but the token", file->path,
			wrong ? wrong : "does not fit into memory");
		return false;
	}
	file->error[0] = '\0';
	bool changed = !file->token || strcmp(file->token, copy) != 0;
	drop_token(file->token);
	file->token = copy;
	return changed;
}

bool token_file_look(struct token_file *file, uint64_t now_ms)
{
	if (!file->again && now_ms - file->looked_ms < TOKEN_FILE_LOOK_MS)
		return false;
	file->again = false;
	file->looked_ms = now_ms;
	struct stat info;
	if (stat(file->path, &info) == 0 && is_same(&info, &file->seen))
		return false;
	char text[TOKEN_FILE_MAX_BYTES + 1];
	ssize_t n = read_file(file->path, &info, text);
	bool changed = false;
	if (n < 0) {
		snprintf(file->error, sizeof file->error,
			"%s: %s; it must be a readable file with nothing but the token", file->path, error_text(n));
	} else {
		changed = take(file, text, (size_t)n);
		file->seen = info;
	}
	explicit_bzero(text, sizeof text);
	return changed;
}
