# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	connectors/http/allowed_paths.c \
	connectors/http/allowed_paths.h \
	connectors/http/auth_in.c \
	connectors/http/auth_in.h \
	connectors/http/auth_in_settings.c \
	connectors/http/auth_out.c \
	connectors/http/auth_out.h \
	connectors/http/auth_out_settings.c \
	connectors/http/cloudevent.c \
	connectors/http/cloudevent.h \
	connectors/http/guard.c \
	connectors/http/guard.h \
	connectors/http/header_names.c \
	connectors/http/header_names.h \
	connectors/http/http.c \
	connectors/http/http.h \
	connectors/http/idempotency.c \
	connectors/http/idempotency.h \
	connectors/http/in.c \
	connectors/http/in.h \
	connectors/http/out.c \
	connectors/http/out.h \
	connectors/http/password_worker.c \
	connectors/http/password_worker.h \
	connectors/http/settings.c \
	connectors/http/settings.h \
	connectors/http/signature.c \
	connectors/http/signature.h \
	connectors/http/signature_keys.c \
	connectors/http/signature_keys.h \
	connectors/http/signature_verify.c \
	connectors/http/token_file.c \
	connectors/http/token_file.h \
	connectors/http/token_hash.c \
	connectors/http/token_hash.h
