/** Owns that a style sheet may be imported: the bundler puts it on the page. */
declare module "*.css";
