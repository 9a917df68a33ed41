pub mod fault; pub mod name; pub mod reply; pub mod scenario; pub mod time; pub mod zone;
