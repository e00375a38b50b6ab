/* SPDX-License-Identifier: Apache-2.0
 *
 * Are the files of a `tls` section what they should be: readable PEM, a key that belongs to the certificate, and nothing
 * that has expired. For `linkspan check`; the library reads them again for itself. Any thread; reads files.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CERTIFICATE_FILES_H
#define LINKSPAN_CONNECTORS_KAFKA_CERTIFICATE_FILES_H

#include "connectors/kafka/security.h"

/* Complains at the file's key; false if anything is wrong. What has expired, or is about to within a month, is a warning. */
bool certificate_files_check(const struct kafka_tls *tls, struct config_scope *scope);

#endif
