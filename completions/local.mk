# SPDX-License-Identifier: Apache-2.0
# Where each shell looks for itself. They ask linkspan, so no option stands here.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_zshcompletion_DATA = completions/_linkspan
dist_fishcompletion_DATA = completions/linkspan.fish
EXTRA_DIST += completions/linkspan.bash

# bash finds it by the name of the command.
install-data-local: $(srcdir)/completions/linkspan.bash
	$(MKDIR_P) $(DESTDIR)$(bashcompletiondir)
	$(INSTALL_DATA) $(srcdir)/completions/linkspan.bash $(DESTDIR)$(bashcompletiondir)/linkspan

uninstall-local:
	rm -f $(DESTDIR)$(bashcompletiondir)/linkspan
