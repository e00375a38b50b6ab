/* SPDX-License-Identifier: Apache-2.0
 *
 * config_complain for tests, whose settings never come from a file.
 */
#include "tests/unit/kafka/complaints.h"

#include <stdarg.h>
#include <stdio.h>

void config_complain(struct config_scope *scope, const char *key, const char *item, const char *format, ...)
{
	if (scope->n == MAX_COMPLAINTS)
		return;
	unsigned i = scope->n++;
	snprintf(scope->complaints[i].key, sizeof scope->complaints[i].key, "%s", key ? key : "");
	snprintf(scope->complaints[i].item, sizeof scope->complaints[i].item, "%s", item ? item : "");
	va_list args;
	va_start(args, format);
	vsnprintf(scope->complaints[i].text, sizeof scope->complaints[i].text, format, args);
	va_end(args);
}

void config_warn(struct config_scope *scope, const char *key, const char *item, const char *format, ...)
{
	(void)key, (void)item;
	scope->n_warnings++;
	va_list args;
	va_start(args, format);
	vsnprintf(scope->warning, sizeof scope->warning, format, args);
	va_end(args);
}

bool config_failed(const struct config_scope *scope, const char *key, const char *item)
{
	(void)scope, (void)key, (void)item;
	return false;
}

bool config_given(const struct config_scope *scope, const char *key, const char *item)
{
	(void)scope, (void)key, (void)item;
	return true;
}
