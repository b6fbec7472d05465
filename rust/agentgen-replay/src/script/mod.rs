//! What a session sends: prompts, histories, bodies.
