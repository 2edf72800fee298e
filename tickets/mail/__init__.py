"""Mail in and out: messages become tickets and comments, and what agents write reaches customers."""
